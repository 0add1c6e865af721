"""Text files as they come: plain or packed, whole or broken."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PACKED = (".gz", ".xz")


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 text file, unpacking `.gz` and `.xz`.

    Raises:
        FileNotFoundError: If there is no such file; tells what lies beside it.
        ValueError: If it is cut off, corrupt, or not UTF-8; also while it is read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; {beside(path)}")
    try:
        with _open_bytes(path) as data, io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path} is not UTF-8, it holds the byte 0x{byte:02x}; save it as UTF-8.") from error
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be unpacked ({error}); it is cut off or corrupt, copy it again."
        ) from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file, unpacking `.gz` and `.xz`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is cut off or corrupt.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; {beside(path)}")
    try:
        with _open_bytes(path) as data:
            return data.read()
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be unpacked ({error}); it is cut off or corrupt, copy it again."
        ) from error


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


def beside(path: Path) -> str:
    """Tell what there is where something was looked for, as the end of a sentence."""
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{folder.resolve()} holds {', '.join(names[:8]) or 'nothing'}{more}; correct the path."


def _open_bytes(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path)  # pyright: ignore[reportReturnType]
    if path.suffix.lower() == ".xz":
        return lzma.open(path)
    return path.open("rb")
