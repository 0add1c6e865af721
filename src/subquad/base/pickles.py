"""Files of `torch.save`: tensors and plain values are read; nothing that they name is imported or called."""

from __future__ import annotations

import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from subquad.base.archives import check_archive


class Ignored:
    """Stands for an object of a class that a file brings along besides its tensors."""

    def __init__(self, *arguments: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def load_plain(path: str | Path, *, ignore_others: bool = False, lazily: bool = False) -> Any:
    """Read a file of `torch.save` on the CPU.

    Args:
        path: Of the file.
        ignore_others: Put `Ignored` in the place of objects of other classes. Training frameworks store
            their own beside the weights (mmengine its message hub); by default, such files are refused.
        lazily: Leave tensors in the file until they are looked at, where its format allows that.

    Raises:
        ValueError: If it unpacks to more than it has, or is not what its checksums say.
        Exception: Of any kind, if it is damaged or refused.
    """
    check_archive(path, checksums=not lazily)
    foreign: list[str] = []
    if ignore_others:
        with suppress(ValueError):  # of before torch 1.6, which cannot be looked into
            foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    with torch.serialization.safe_globals([(Ignored, name) for name in foreign]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other protocols of pickle
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=lazily and zipfile.is_zipfile(path)
        )
