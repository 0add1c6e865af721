"""A data set of ten pictures, and the commands on it."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ["road", "sky", "car"]
TINY = ["--model.backbone=conv_tiny", "--model.ham_channels=32", "--model.channels=32", "--model.rank=4"]


def write_pair(split, name, mask, rng, suffix="png"):
    for kind, pixels in {"images": rng.integers(0, 256, (*mask.shape, 3), np.uint8), "labels": mask}.items():
        (split / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(split / kind / f"{name}.{suffix if kind == 'images' else 'png'}")


def write_data(root, classes=CLASSES):
    """Write six training and four validation pictures of 40 x 48 with masks."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 4)):
        for index in range(count):
            mask = rng.integers(0, 3, (40, 48), np.uint8)
            mask[:3] = 255
            write_pair(root / split, f"{split}{index}", mask, rng)
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    return root


def fit_arguments(data, output, *extra):
    """Return a small training that leaves no report, which is half of its time."""
    return reported_fit_arguments(data, output, "--report_samples=0", *extra)


def reported_fit_arguments(data, output, *extra):
    """Return a small training as it is by itself: with a report at its end."""
    return [
        "fit", *TINY, "--data.name=folder", f"--data.root={data}", "--data.batch_size=2",
        "--trainer.max_epochs=1", "--trainer.accelerator=cpu", f"--output={output}", *extra,
    ]  # fmt: skip


def contents(folder):
    """Return a digest of every file below a folder."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
