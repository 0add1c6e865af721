"""Telling whether a run goes on with the data that it began with, in seconds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from subquad.base.limits import FINGERPRINT_SIZES
from subquad.data.class_images import ClassFolder, PicturesInMemory
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.published import PublishedDataset
from subquad.tasks.sequences.data.samples import Records, WithCLS


def fingerprint(dataset: Any) -> str:
    """Return how many samples a data set has, and a digest of what they are: "6 samples, 1f00a2...".

    Of files it is the names, that of the folder they are in included, and the sizes; of what is in memory
    (tables, small pictures) the contents; of samples that are made, nothing but their number. Where the
    data lie does not matter. A file that is changed and keeps its size is not noticed.

    Args:
        dataset: Of training or evaluation, of any kind of network.
    """
    parts = hashlib.blake2b(digest_size=16)
    for part in _parts(dataset):
        parts.update(len(part).to_bytes(8, "little"))
        parts.update(part)
    return f"{len(dataset)} samples, {parts.hexdigest()}"


def _parts(dataset: Any) -> Iterable[bytes]:
    match dataset:
        case WithCLS():
            return _parts(dataset.dataset)
        case SegmentationFolder() | PublishedDataset():
            return _of_files([path for pair in dataset.pairs for path in pair[:2]])
        case ClassFolder():
            return _of_files(dataset.files)
        case PicturesInMemory():
            return [_bytes(dataset.classes), _bytes(dataset.pixels)]
        case Records():
            return _of_records(dataset)
        case _:
            return []


def _of_files(paths: list[Path]) -> Iterable[bytes]:
    apart = max(1, len(paths) // FINGERPRINT_SIZES)
    for number, path in enumerate(paths):
        size = path.stat().st_size if number % apart == 0 else ""
        yield os.fsencode(f"{path.parent.name}/{path.name} {size}")  # a name may be no text


def _of_records(dataset: Records) -> Iterable[bytes]:
    files: list[Path] = []
    for record in dataset.records:
        sequence = record.sequence
        if isinstance(sequence, Path):
            files.append(sequence)
        elif isinstance(sequence, Tensor):
            yield _bytes(sequence)
        else:
            yield sequence.encode() if isinstance(sequence, str) else sequence
        yield record.label.encode()
    yield from _of_files(files)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.cpu().contiguous().numpy().tobytes()
