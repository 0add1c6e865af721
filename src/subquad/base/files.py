"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file under another name, then rename it: who is killed leaves the file before.

    Args:
        path: Of the file; its folder is made if needed.
        content: All of it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Raise ValueError unless a file can be written at a path; leaves nothing there.

    Args:
        path: Of the file; folders that are missing would be made.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell: root has them all
            pass
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {folder} takes no new file ({error.strerror}); give another name."
        ) from error
