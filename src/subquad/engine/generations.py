"""Checkpoints to resume from, of which one that can be read is there at any moment."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from subquad.base.archives import check_archive
from subquad.base.files import replacing
from subquad.engine.run_folder import previous_of


class Generations(TorchCheckpointIO):
    """Writes a checkpoint beside its place, reads it back, and only then puts it there.

    The one that was there before is kept as `previous_of(path)`. Whatever happens, a kill or a disk that
    is full, `path` is the old file or the new one, each of them whole.

    Attributes:
        failure: Why the last checkpoint could not be written, in words; None if it was. It is kept
            rather than raised, since one process writes while others wait: all of them must be told.
    """

    failure: str | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint, or keep in `failure` why not."""
        path = Path(path)
        try:
            with replacing(path) as unfinished:
                write_checkpoint(checkpoint, unfinished)
                if path.is_file():
                    put(path, previous_of(path))
            self.failure = None
        except OSError as error:
            self.failure = error.strerror or str(error)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write what `torch.load` takes, piece by piece, and see that it can be read back.

    Raises:
        OSError: If it cannot be written, or what is read is not what was written.
    """
    with path.open("wb") as raw:
        file = _Noting(raw)
        try:
            torch.save(checkpoint, file)  # pyright: ignore[reportArgumentType]
        except RuntimeError as error:  # torch tells where it stopped, not why
            raise file.error or error from error
        raw.flush()
        os.fsync(raw.fileno())
    try:
        check_archive(path)
    except ValueError as error:
        raise OSError(errno.EIO, f"what was written cannot be read back: {error}") from error


def put(source: str | Path, target: str | Path) -> None:
    """Let a file be found under a second name too, in place of what has that name."""
    with replacing(target) as unfinished:
        try:
            os.link(source, unfinished)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, unfinished)


class _Noting:
    """A file that keeps the error of a write, which torch swallows."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.error = file, None

    def write(self, content: Any) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.error: OSError | None = error
            raise

    def flush(self) -> None:
        self._file.flush()
