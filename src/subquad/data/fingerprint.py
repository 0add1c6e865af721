"""Telling whether a run goes on with the data that it began with, in seconds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from subquad.base.limits import FINGERPRINT_SIZES


@runtime_checkable
class Fingerprinted(Protocol):
    """A data set that says what it is made of."""

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return what tells it from others, such as `file_parts` or `tensor_bytes`; not where it lies."""
        ...


def fingerprint(dataset: Any) -> str:
    """Return how many samples a data set has, and a digest of what they are: "6 samples, 1f00a2...".

    Of files it is the names, that of the folder they are in included, and the sizes; of annotations and of
    what is in memory (tables, small pictures) the contents; of samples that are made, nothing but their
    number. Where the data lie does not matter. A picture or mask that is changed and keeps its size is not
    noticed.

    Args:
        dataset: Of training or evaluation, of any task.
    """
    parts = hashlib.blake2b(digest_size=16)
    for part in parts_of(dataset):
        parts.update(len(part).to_bytes(8, "little"))
        parts.update(part)
    return f"{len(dataset)} samples, {parts.hexdigest()}"


def parts_of(dataset: Any) -> Iterable[bytes]:
    """Return the `fingerprint_parts` of a data set; none of one that has no such method."""
    return dataset.fingerprint_parts() if isinstance(dataset, Fingerprinted) else ()


def file_parts(paths: Sequence[Path]) -> Iterable[bytes]:
    """Return the names of files, and the sizes of as many as can be asked for in seconds."""
    apart = max(1, len(paths) // FINGERPRINT_SIZES)
    for number, path in enumerate(paths):
        size = path.stat().st_size if number % apart == 0 else ""
        yield os.fsencode(f"{path.parent.name}/{path.name} {size}")  # a name may be no text


def content_parts(paths: Sequence[Path]) -> Iterable[bytes]:
    """Return the names of files and digests of their contents, for files that are read anyway."""
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16))
        yield os.fsencode(f"{path.parent.name}/{path.name} ") + digest.digest()


def tensor_bytes(tensor: Tensor) -> bytes:
    """Return the content of a tensor."""
    return tensor.cpu().contiguous().numpy().tobytes()
