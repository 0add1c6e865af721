"""Bytes of IMDB's reviews as one long stream, and windows of it."""

from __future__ import annotations

import json
import lzma
import os
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

END = 10  # a line feed ends each review; there are none inside


@cache
def stream(split: str) -> Tensor:
    """Return the bytes of all reviews of "train" or "test", shuffled by a fixed seed, (n,) uint8.

    "<br />" is a space, as it is markup, and reviews are shuffled since the files are sorted by their labels.
    """
    path = Path(os.environ["SUBQUAD_DATA"]) / "imdb" / f"{split}.jsonl.xz"
    with lzma.open(path, "rt", encoding="utf-8") as file:
        reviews = [" ".join(json.loads(line)["text"].replace("<br />", " ").split()) for line in file]
    order = np.random.default_rng(0).permutation(len(reviews))
    whole = b"".join(reviews[i].encode() + bytes([END]) for i in order)
    return torch.frombuffer(bytearray(whole), dtype=torch.uint8)


def windows(split: str, count: int, length: int, generator: torch.Generator) -> Tensor:
    """Return random windows, (count, length) integers."""
    whole = stream(split)
    starts = torch.randint(len(whole) - length, (count,), generator=generator)
    return torch.stack([whole[start : start + length] for start in starts.tolist()]).long()
