"""Rows of CSV and TSV: the separator, the names of the columns, quotes that do not close."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from subquad.base.limits import LONGEST_CELL, MOST_READ_AGAIN, READ_AGAIN_A_LINE

Row = tuple[int, dict[str, object] | str | None]
TAB = "\t"
# In the order in which they are tried.
NAMES = {",": "a comma", ";": "a semicolon", TAB: "a tab", "|": "a bar"}


def delimited_rows(
    lines: Iterable[str],
    separator: str | None,
    usual: str,
    header: bool,
    wanted: Sequence[str],
    note: Callable[[str], None],
    doubt: Callable[[str], None],
) -> Iterator[Row]:
    """Read the rows of a table, each with its number, from 1.

    Args:
        lines: Of the file. Excel's first line `sep=;` tells the separator and is no row.
        separator: What is between two cells; None: `usual`, unless only another one gives the columns
            that are wanted.
        usual: A comma or a tab; quotes mean nothing in a table whose usual and actual separator is a tab.
        header: Whether the first row names the columns; if not, their names are numbers from 0 on.
        wanted: Names of the columns that are needed.
        note: Told what a user may want to know.
        doubt: Told what was guessed.

    Yields:
        The number of a row and its cells by column; or what is wrong with it; or None if it is empty.

    Raises:
        ValueError: If a column that is wanted has no name of its own, the table is no text, or too many
            quotes do not close.
    """
    source = _Lines(lines)
    first = next(source, "")
    if "\0" in first:
        raise ValueError("it holds zero bytes, as UTF-16 does; save it as UTF-8.")
    told = re.fullmatch(r'"?sep=(.)"?[;,\t]*', first.strip("\r\n"), flags=re.IGNORECASE)
    if told is None:
        source.take_back(0)
    chosen = separator or (told[1] if told else None)
    if chosen is None:
        chosen = _guess(first, usual, header, wanted)
        if chosen != usual:
            option = f"--data.separator {'tab' if chosen == TAB else repr(chosen)}"
            doubt(f"the separator is {NAMES[chosen]}, not {NAMES[usual]}: read as with {option}; give that.")
    has_quotes = not chosen == usual == TAB
    yield from _named(_records(source, chosen, has_quotes, note), header, wanted)


def _named(
    records: Iterable[tuple[int, list[str] | str]], header: bool, wanted: Sequence[str]
) -> Iterator[Row]:
    names: list[str] | None = None
    for number, cells in records:
        if isinstance(cells, str):
            yield number, cells
        elif not any(cell.strip() for cell in cells):
            yield number, None
        elif names is None and header:
            names = [cell.strip() for cell in cells]
            twice = [name for name in wanted if names.count(name) > 1]
            if twice:
                raise ValueError(f"the column {twice[0]!r} occurs twice; rename or remove one of them.")
        elif names is not None and not set(names).issuperset(wanted):
            yield number, dict.fromkeys(names, "")  # whatever the cells are: their names are wrong
        elif names is not None and len(cells) != len(names):
            yield (
                number,
                f"there are {len(cells)} cells for {len(names)} columns; "
                "put cells that hold the separator into quotes.",
            )
        else:
            names = names or [str(column) for column in range(len(cells))]
            yield number, dict(zip(names, cells, strict=True))


def _records(
    source: _Lines, separator: str, has_quotes: bool, note: Callable[[str], None]
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield cells, or what is wrong, with the number of the line where they begin."""
    quoting = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    reader = csv.reader(source, delimiter=separator, quoting=quoting, strict=has_quotes)
    across: list[int] = []
    previous = csv.field_size_limit(LONGEST_CELL)
    try:
        while True:
            start = source.next_record()
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                yield start, f"the row cannot be read as a table ({error}); mend or remove its quotes."
                source.take_back(1)  # the rows after it are whole, unless they say otherwise
                continue
            if "\0" in "".join(cells):
                yield start, "it holds a zero byte, which no text does; mend the row, or take it out."
                continue
            if len(source.record) > 1:
                across.append(start)
            yield start, cells
    finally:
        csv.field_size_limit(previous)
    if across:
        note(
            f"cells of {len(across)} row(s) run over line ends, the first in row {across[0]}; if no text of "
            "yours does, a quote there has lost its other one."
        )


class _Lines:
    """Lines of a file, of which those of the last record can be taken back.

    Args:
        lines: Of the file.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.source, self.again, self.record = iter(lines), deque[str](), list[str]()
        self.row, self.characters = 0, 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.source)
        self.record.append(line)
        self.row += 1
        return line

    def next_record(self) -> int:
        """Begin a record; returns the number of its first line."""
        self.record.clear()
        return self.row + 1

    def take_back(self, kept: int) -> None:
        """Read all lines of the record once more but for the first ones that are kept."""
        back = self.record[kept:]
        self.again.extendleft(reversed(back))
        self.row -= len(back)
        self.characters += sum(len(line) + READ_AGAIN_A_LINE for line in back)
        if self.characters > MOST_READ_AGAIN:
            raise ValueError(
                f"row {self.row}: the quotes there and in other rows do not close; mend them before the "
                "rest can be read."
            )


def _guess(first: str, usual: str, header: bool, wanted: Sequence[str]) -> str:
    """Return the separator that gives the columns that are wanted, the usual one if none does."""
    for separator in (usual, *NAMES):
        try:
            cells = next(csv.reader([first], delimiter=separator), [])
        except csv.Error:
            continue
        names = {cell.strip() for cell in cells} if header else set(map(str, range(len(cells))))
        if names.issuperset(wanted):
            return separator
    return usual
