"""Documents of files, folders and JSONL: bytes one after another, and where each of them ends."""

from __future__ import annotations

import codecs
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.hidden import visible
from subquad.base.limits import DEEPEST_FOLDERS, MIB
from subquad.base.suggest import beside, first_of
from subquad.data.text_files import kind_of, open_text, read_in_parts

TABLES = (".jsonl", ".ndjson")
TEXTS = (".txt", *TABLES)  # that are looked for in a folder
IN_MEMORY = 64 * MIB  # what is larger lies in a file without a name, of which the system keeps what is needed
Note = Callable[[str], object]


@dataclass(frozen=True)
class Documents:
    """Documents, one after another.

    Attributes:
        content: Their bytes, uint8.
        ends: Where each ends, int64 (documents,).
    """

    content: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        start = 0
        for end in self.ends.tolist():
            yield self.content[start:end]
            start = end

    def part(self, start: int, end: int) -> Documents:
        """Return the bytes from `start` to `end`; what they cut through is a document, too."""
        inside = self.ends[(self.ends > start) & (self.ends < end)]
        return Documents(self.content[start:end], np.append(inside, end) - start)

    def shuffled(self, seed: int) -> Documents:
        """Return the same documents in another order."""
        every = list(self)
        order = np.random.default_rng(seed).permutation(len(every)).tolist()
        lengths = np.array([len(every[number]) for number in order], np.int64)
        return Documents(np.concatenate([every[number] for number in order]), lengths.cumsum())


class Flat:
    """Arrays of one type that are written one after another, and become one."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  closed at the end of `with`

    def __enter__(self) -> Flat:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()  # a memory map stays

    def append(self, values: Any) -> None:
        """Write values, whatever type of integers they are of."""
        self.file.write(np.asarray(values, self.dtype).tobytes())

    def whole(self) -> NDArray[Any]:
        """Return all of them; of many, the memory is that of a file."""
        size = self.file.tell()
        if size > IN_MEMORY:
            return np.memmap(self.file, self.dtype, mode="r")  # pyright: ignore[reportCallIssue, reportArgumentType]
        self.file.seek(0)
        return np.frombuffer(self.file.read(), self.dtype)


def read_documents(
    path: Path,
    field: str = "text",
    *,
    utf8: bool = False,
    known: bool = False,
    option: str = "--data.field",
    note: Note = lambda _: None,
) -> Documents:
    """Read a text file, which is one document, a JSONL, which has one in each row, or a folder of both.

    Args:
        path: Of the file or folder; `.gz` and `.xz` are unpacked.
        field: What holds the text in a row of a JSONL.
        utf8: Whether text files must be UTF-8; those of a JSONL must anyway.
        known: Whether a network is there already, which takes no other tokens.
        option: That gives `field`, for complaints.
        note: Told which file is read.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If a document is empty or cannot be read, or there is none.
    """
    ends, size = [], 0
    with Flat(np.uint8) as content:
        for file in files_of(path):
            note(str(file))
            is_table = kind_of(file) in TABLES
            documents = rows_of(file, field, option) if is_table else [_whole(file, utf8, known)]
            for pieces in documents:
                for piece in pieces:
                    content.append(np.frombuffer(piece, np.uint8))
                    size += len(piece)
                if size == (ends[-1] if ends else 0):
                    raise ValueError(f"{file} is empty; fill it or remove it.")
                ends.append(size)
        return Documents(content.whole(), np.array(ends, np.int64))


def files_of(path: Path) -> list[Path]:
    """Return the text files of a folder, sorted by name, or the file itself.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}; {beside(path)}")
        return [path]
    found = [*_inside(path, DEEPEST_FOLDERS)]
    if not found:
        raise FileNotFoundError(f"{path} holds no text ({', '.join(TEXTS)}); {beside(path / 'x')}")
    return found


def rows_of(path: Path, field: str, option: str = "--data.field") -> Iterator[list[bytes]]:
    """Yield the text of each row of a JSONL.

    Args:
        path: Of the file.
        field: What holds the text.
        option: That gives it, for complaints.

    Raises:
        ValueError: If a row is no object with a text of that name, or there is none.
    """
    number = 0
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                raise ValueError(f"{path}, row {number} is empty; take it out.")
            yield [_field(line, field, f"{path}, row {number}", option)]
    if not number:
        raise ValueError(f"{path} is empty; fill it or remove it.")


def _field(line: str, field: str, where: str, option: str) -> bytes:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is no JSON ({error}); mend it or take it out.") from error
    if not isinstance(row, dict):
        raise ValueError(
            f"{where} is {row!r:.40}, no object; write {{{json.dumps(field)}: ...}}, or take it out."
        )
    if field not in row:
        known = f"it has {first_of([*row], 8)}"
        raise ValueError(f"{where} has no {field!r}; {known}; name the one with the text ({option}).")
    text = row[field]
    if not isinstance(text, str) or not text:
        raise ValueError(f"{where}: {field!r} is {text!r:.40}, not a text; mend the row or take it out.")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} holds {text[error.start]!r}, half of a character, which no text in UTF-8 can; mend it."
        ) from error


def _whole(path: Path, utf8: bool, known: bool) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in read_in_parts(path):
            if utf8:
                decoder.decode(piece)
            yield piece
        if utf8:
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        other = (
            ", as the tokenizer of the network needs it"
            if known
            else ", or take bytes as tokens, which may be any"
        )
        raise ValueError(
            f"{path} is not UTF-8, it holds the byte 0x{byte:02x}; save it as UTF-8{other}."
        ) from error


def _inside(folder: Path, depth: int) -> Iterator[Path]:
    for path in visible(folder):
        if path.is_dir():
            if depth:
                yield from _inside(path, depth - 1)
        elif kind_of(path) in TEXTS:
            yield path
