"""Text files as they come: plain or packed, whole or broken."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from subquad.base.files import require_file
from subquad.base.limits import LONGEST_LINE, MIB, MOST_UNPACKED_RATIO, UNPACKED_UNASKED
from subquad.base.suggest import beside

PACKED = (".gz", ".xz")
_BROKEN = (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error)


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 text file, unpacking `.gz` and `.xz`.

    Raises:
        FileNotFoundError: If there is no such file; tells what lies beside it.
        ValueError: If it is no file on disk, cut off, corrupt, or not UTF-8, if it unpacks to far more
            than it has, or if a line is too long; also while it is read.
    """
    try:
        with (
            _open_bytes(path) as data,
            io.BufferedReader(_Watched(data, path), 2**16) as watched,
            io.TextIOWrapper(watched, encoding="utf-8-sig", newline="") as text,
        ):
            yield text
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path} is not UTF-8, it holds the byte 0x{byte:02x}; save it as UTF-8.") from error
    except _BROKEN as error:
        raise ValueError(
            f"{path} cannot be unpacked ({error}); it is cut off or corrupt, copy it again."
        ) from error


def read_in_parts(path: Path, size: int = MIB) -> Iterator[bytes]:
    """Yield a whole file of any length, unpacking `.gz` and `.xz`.

    Args:
        path: Of the file.
        size: Bytes at a time.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no file on disk, cut off or corrupt, or if it unpacks to far more than it has.
    """
    try:
        with _open_bytes(path) as data, _Watched(data, path, lines=False) as watched:
            while part := watched.read(size):
                yield part
    except _BROKEN as error:
        raise ValueError(
            f"{path} cannot be unpacked ({error}); it is cut off or corrupt, copy it again."
        ) from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file as one sequence, unpacking `.gz` and `.xz`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no file on disk, cut off or corrupt, or too long.
    """
    try:
        with _open_bytes(path) as data:
            content = data.read(LONGEST_LINE + 1)
    except _BROKEN as error:
        raise ValueError(
            f"{path} cannot be unpacked ({error}); it is cut off or corrupt, copy it again."
        ) from error
    if len(content) > LONGEST_LINE:
        raise ValueError(
            f"{path} has more than {LONGEST_LINE:,} bytes, the most of one sequence; split the file."
        )
    return content


def kind_of(path: Path) -> str:
    """Return the suffix that tells the kind of a file, in small letters, without that of the packing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def bare_name(path: Path) -> str:
    """Return the name of a file without the suffixes of kind and packing."""
    name = path.name
    for suffix in reversed(path.suffixes):
        if suffix.lower() in PACKED or suffix.lower() == kind_of(path):
            name = name.removesuffix(suffix)
    return name


def find_file(folder: Path, names: tuple[str, ...], kinds: tuple[str, ...]) -> Path | None:
    """Find a file of one of the names and kinds in a folder, packed or not; the first name wins."""
    for name in names:
        for kind in kinds:
            for packing in ("", *PACKED):
                path = folder / f"{name}{kind}{packing}"
                if path.is_file():
                    return path
    return None


def _open_bytes(path: Path) -> IO[bytes]:
    if not path.is_file():
        if path.exists() or path.is_symlink():
            require_file(path)
        raise FileNotFoundError(f"there is no file {path}; {beside(path)}")
    if path.suffix.lower() == ".gz":
        return gzip.open(path)  # pyright: ignore[reportReturnType]
    if path.suffix.lower() == ".xz":
        return lzma.open(path)
    return path.open("rb")


class _Watched(io.RawIOBase):
    """Bytes as they come, until a line is too long, if it matters, or a packed file becomes too much."""

    def __init__(self, data: IO[bytes], path: Path, lines: bool = True) -> None:
        self.data, self.path, self.lines = data, path, lines
        self.unpacked = self.line = 0  # bytes read, and those since the last end of a line
        packed = path.suffix.lower() in PACKED
        self.most = max(UNPACKED_UNASKED, path.stat().st_size * MOST_UNPACKED_RATIO) if packed else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self.data.read(len(buffer))
        buffer[: len(chunk)] = chunk
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self.line = self.line + len(chunk) if end < 0 else len(chunk) - end
        self.unpacked += len(chunk)
        if self.most is not None and self.unpacked > self.most:
            raise ValueError(
                f"{self.path} unpacks to more than {MOST_UNPACKED_RATIO} times its size, which no text does; "
                f"if it is meant, unpack it first."
            )
        if self.lines and self.line > LONGEST_LINE:
            raise ValueError(
                f"{self.path} has a line of more than {LONGEST_LINE:,} bytes; break it up, if it is text."
            )
        return len(chunk)
