"""Tables of (sequence, label): CSV, TSV and JSONL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from subquad.data.text_files import kind_of, open_text
from subquad.tasks.sequences.data.cells import label_text, sequence_text
from subquad.tasks.sequences.data.delimited import Row, delimited_rows
from subquad.tasks.sequences.data.options import Tokens
from subquad.tasks.sequences.data.samples import Record

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
Complain = Callable[[str], None]
Note = Callable[[str], None]
SHOWN = 8  # names of columns


def refuse(problem: str) -> None:
    """Raise the first problem as a ValueError; a check collects them instead."""
    raise ValueError(problem)


class Doubt(str):
    """A note on what was guessed: a check takes it for a problem."""


def ignore(note: str) -> None:
    """Do nothing about a note."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read, and how.

    Attributes:
        sequence: Its name, or its key in JSONL.
        label: The same; None: the labels are not known, and empty in the records.
        header: Whether a CSV or TSV names its columns; if not, these are numbers from 0 on.
        separator: Between the cells of a CSV or TSV; None: as the name of the file says, unless only
            another one gives the columns.
        tokens: What sequences are made of.
    """

    sequence: str
    label: str | None
    header: bool = True
    separator: str | None = None
    tokens: Tokens = "characters"

    @property
    def wanted(self) -> list[str]:
        """The names of those that must be there."""
        return [self.sequence] if self.label is None else [self.sequence, self.label]


def read_table(path: Path, columns: Columns, problem: Complain = refuse, note: Note = ignore) -> list[Record]:
    """Read the two columns that are wanted of a table, or the one.

    Rows are counted as an editor shows them, from 1, with the header.

    Args:
        path: `.csv`, `.tsv`, `.jsonl` or `.ndjson`, packed or not.
        columns: Which, and how.
        problem: What is done about an empty or broken row.
        note: Told what a user may want to know.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no table, or has not got the columns.
    """
    kind, records = kind_of(path), []
    if kind not in TABLES:
        raise ValueError(f"{path} is no table; take {', '.join(TABLES)}, also with .gz or .xz.")
    with open_text(path) as lines:
        for number, cells in _columns(_rows(lines, path, columns, note), path, columns.wanted, problem):
            where = f"{path}, row {number}"
            try:
                sequence, label = sequence_text(cells[0], columns.tokens), label_text((*cells, None)[1])
            except ValueError as error:
                problem(f"{where}: {error}")
                continue
            if not sequence.strip():
                problem(f"{where}: the sequence is empty; fill it in, or take the row out.")
            elif columns.label is not None and not label:
                problem(f"{where}: the label is empty; fill it in, or take the row out.")
            elif half := _half_character(sequence) or _half_character(label):
                problem(
                    f"{where}: it holds {half!r}, half of a character, which no text in UTF-8 can; "
                    "mend it, or take the row out."
                )
            else:
                records.append(Record(sequence, label, where))
    if not records:
        what = "a sequence" if columns.label is None else "a sequence and a label"
        problem(f"{path} holds no row with {what}; fill it.")
    return records


def _rows(lines: Iterable[str], path: Path, columns: Columns, note: Note) -> Iterator[Row]:
    """Yield rows by number; errors and notes name the file."""
    kind = kind_of(path)
    is_json = kind not in (".csv", ".tsv")
    rows = (
        _json_lines(lines)
        if is_json
        else delimited_rows(
            lines,
            columns.separator,
            "," if kind == ".csv" else "\t",
            columns.header,
            columns.wanted,
            lambda text: note(f"{path}: {text}"),
            lambda text: note(Doubt(f"{path}: {text}")),
        )
    )
    try:
        yield from rows
    except UnicodeError:  # a ValueError, but not about rows
        raise
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _columns(
    rows: Iterable[Row], path: Path, wanted: list[str], problem: Complain
) -> Iterator[tuple[int, list[object]]]:
    blank, none_yet = 0, True
    for number, row in rows:
        if row is None:  # fine at the end of a file, so wait for what follows
            blank = blank or number
            continue
        if blank:
            problem(f"{path}, row {blank}: the row is empty; take it out.")
            blank = 0
        if isinstance(row, str):
            problem(f"{path}, row {number}: {row}")
            continue
        missing = [name for name in wanted if name not in row]
        if missing:
            more = f" and {len(row) - SHOWN} more" if len(row) > SHOWN else ""
            names = (", ".join(map(repr, list(row)[:SHOWN])) or "none") + more
            options = ["sequence_column (--data.sequence_column)", "label_column (--data.label_column)"]
            is_one = len(row) == 1 and kind_of(path) in (".csv", ".tsv")
            names += " (or is it another --data.separator?)" if is_one else ""
            told = (
                f"{path}, row {number}: there is no column {missing[0]!r}; its columns are {names}; give "
                f"{' and '.join(options[: len(wanted)])}."
            )
            if none_yet:  # of a JSONL, a later row may lack what others have
                raise ValueError(told)
            problem(told)
            continue
        none_yet = False
        yield number, [row[name] for name in wanted]


def _json_lines(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            yield number, None
            continue
        try:
            row = json.loads(line, object_pairs_hook=_unique)
        except RecursionError:
            yield number, "the line is nested too deeply; write {...} with texts, numbers and lists."
        except _TwiceError as error:
            yield number, str(error)
        except ValueError as error:
            if number == 1 and line.lstrip().startswith("["):
                raise ValueError("it is one JSON list; write one object {...} in each line.") from error
            yield number, f"the line is no JSON ({error}); mend it."
        else:
            yield number, row if isinstance(row, dict) else "the line is no JSON object; write {...}."


class _TwiceError(ValueError):
    """A key of a JSON object occurs twice, and Python would take the last."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _TwiceError(f"the key {twice!r} occurs twice; rename or remove one of them.")
    return row


def _half_character(text: str) -> str:
    """Return the first surrogate without its other half, which JSON can write; empty if there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[error.start]
    return ""
