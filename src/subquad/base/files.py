"""Files that are whole or not there, and that are files."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file under another name, then rename it: who is killed leaves the file before.

    Args:
        path: Of the file; its folder is made if needed.
        content: All of it.
    """
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give the name beside a file under which to write the next one, which then takes its place.

    If the block raises, the file stays as it was and nothing is left beside it.

    Args:
        path: Of the file; its folder is made if needed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what processes that were killed left of `replacing` in a folder and the folders in it.

    Args:
        folder: Where this process is about to write, and has not yet: in a container, the process that
            was killed had the same number.
    """
    for pattern in (".*.tmp", "*/.*.tmp"):
        for path in Path(folder).glob(pattern):
            found = re.fullmatch(r"\..+\.(\d+)\.tmp", path.name)
            if found and (int(found[1]) == os.getpid() or not is_running(int(found[1]))):
                path.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Say whether a process of this machine is there; where that cannot be asked, it is."""
    if os.name != "posix":  # elsewhere the question would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


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


def require_file(path: str | Path, most: int | None = None, what: str = "files of its kind have") -> None:
    """Raise unless a path is a regular file, of a size that is expected of its kind.

    A device or a pipe never ends, or blocks: nothing but files on disk is ever read.

    Args:
        path: Of the file; links are followed.
        most: Bytes that it may have; None: any number.
        what: Has so many, in words that "at most" follows.

    Raises:
        FileNotFoundError: If there is nothing.
        OSError: If it cannot be looked at, such as a link to itself.
        ValueError: If it is a folder, a device, a pipe or a socket, or too large.
    """
    try:
        state = os.stat(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; correct the path.") from error
    except OSError as error:
        raise OSError(f"{path} cannot be read ({error.strerror}); correct the path.") from error
    except ValueError as error:  # a NUL in the name
        raise ValueError(f"{str(path)!r} is no path: {error}.") from error
    if stat.S_ISDIR(state.st_mode):
        raise ValueError(f"{path} is a folder; give a file.")
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{path} is a device, a pipe or a socket; give a file on disk.")
    if most is not None and state.st_size > most:
        raise ValueError(f"{path} has {state.st_size:,} bytes, but {what} at most {most:,}.")


def read_file(path: str | Path, most: int, what: str = "files of its kind have") -> bytes:
    """Read a whole file of a limited size.

    Args:
        path: Of the file.
        most: Bytes that it may have.
        what: Has so many, in words that "at most" follows.

    Raises:
        FileNotFoundError: If there is none.
        OSError: If it cannot be read.
        ValueError: If it is no regular file, or too large.
    """
    require_file(path, most, what)
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:  # it grew, or its size was not told, as in /proc
        raise ValueError(f"{path} has more bytes than told, but {what} at most {most:,}.")
    return content


def check_unpacked(path: str | Path, most: int) -> None:
    """Raise ValueError if a zip file, such as NumPy's .npz, unpacks to more than a number of bytes."""
    with zipfile.ZipFile(path) as packed:
        size = sum(entry.file_size for entry in packed.infolist())
    if size > most:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
