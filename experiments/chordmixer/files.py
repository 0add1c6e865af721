"""Parts of Fashion-MNIST and IMDB as tables of sequences, the same each time."""

import gzip
import json
import lzma
import random
from pathlib import Path

import numpy as np


def write_pixels(source: Path, folder: Path) -> None:
    """Write 8,000 pictures to train on, 1,000 to validate, 2,000 of the test set, as lists of 784 levels."""
    for split, names in {"train": ("train", "val"), "t10k": ("test",)}.items():
        with lzma.open(source / f"{split}-images-idx3-ubyte.xz") as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
        with gzip.open(source / f"{split}-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        order = list(range(len(labels)))
        random.Random(0).shuffle(order)
        for name in names:
            part, order = np.split(order, [{"train": 8_000, "val": 1000, "test": 2000}[name]])
            rows = [{"pixels": pixels[i].tolist(), "label": str(labels[i])} for i in part]
            _write(folder / f"pixels_{name}.jsonl", rows)


def write_reviews(source: Path, folder: Path) -> None:
    """Write 3,200 reviews to train on and 500 to validate, and 1,000 of the test set."""
    for split, names in {"train": ("train", "val"), "test": ("test",)}.items():
        with lzma.open(source / f"{split}.jsonl.xz", "rt", encoding="utf-8") as file:
            reviews = [json.loads(line) for line in file]
        random.Random(0).shuffle(reviews)
        for name in names:
            count = {"train": 3200, "val": 500, "test": 1000}[name]
            rows, reviews = reviews[:count], reviews[count:]
            _write(folder / f"reviews_{name}.jsonl", rows)


def _write(path: Path, rows: list) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
