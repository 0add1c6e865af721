"""CIFAR-10 as sequences of 1,024 grey levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subquad.data.cifar import CIFAR_CLASSES, CIFAR_SPLITS, CifarFile, decode_cifar, read_cifar
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.split import Splits


def read_grey(root: Path) -> Splits:
    """Read both splits of CIFAR-10, see `read_cifar`.

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If they are cut off, or pickles.
    """
    return {
        split: [record for file in read_cifar(root, split) for record in _records(file)]
        for split in CIFAR_SPLITS
    }


def to_grey(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn red, green, blue in the last axis, 0 to 255, into grey as Long Range Arena does: rounded down."""
    weights = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)
    return np.floor(pixels.astype(np.float32) @ weights).astype(np.uint8)


def encode_grey(record: Record) -> Tensor:
    """Return the levels of a picture, int64 (1024,), row by row.

    Raises:
        ValueError: If the file of the picture is broken.
    """
    if isinstance(record.sequence, bytes):
        image = decode_cifar(record.sequence, record.where)
        return torch.from_numpy(to_grey(image).astype(np.int64).ravel())
    assert isinstance(record.sequence, Tensor)
    return record.sequence.long()


def _records(file: CifarFile) -> list[Record]:
    """Packed pictures stay packed until they are asked for."""
    pictures = file.pictures
    if not isinstance(pictures, list):
        pictures = torch.from_numpy(to_grey(pictures.reshape(-1, 3, 1024).transpose(0, 2, 1)))
    return [
        Record(picture, CIFAR_CLASSES[label], file.where(number))
        for number, (picture, label) in enumerate(zip(pictures, file.classes, strict=True))
    ]
