"""Tables of (sequence, label): CSV, TSV and JSONL."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from subquad.data.sequences.files import kind_of, open_text
from subquad.data.sequences.samples import Record

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
Problem = Callable[[str], None]


def refuse(problem: str) -> None:
    """Raise the first problem as a ValueError; a check collects them instead."""
    raise ValueError(problem)


def read_table(
    path: Path, sequence_column: str, label_column: str | None, problem: Problem = refuse, header: bool = True
) -> list[Record]:
    """Read the two columns that are wanted of a table, or the one.

    Rows are counted as an editor shows them, from 1, with the header.

    Args:
        path: `.csv`, `.tsv`, `.jsonl` or `.ndjson`, packed or not.
        sequence_column: Its name, or its key in JSONL.
        label_column: The same; None: the labels are not known, and empty in the records.
        problem: What is done about an empty or broken row.
        header: Whether a CSV or TSV names its columns; if not, these are numbers from 0 on.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no table, or has not got the columns.
    """
    kind, records = kind_of(path), []
    if kind not in TABLES:
        raise ValueError(f"{path} is no table; take {', '.join(TABLES)}, also with .gz or .xz.")
    with open_text(path) as lines:
        if kind in (".csv", ".tsv"):
            rows = _delimited(lines, "," if kind == ".csv" else "\t", header)
        else:
            rows = _json_lines(lines)
        wanted = [sequence_column] if label_column is None else [sequence_column, label_column]
        try:
            for number, cells in _columns(rows, path, wanted, problem):
                where = f"{path}, row {number}"
                sequence, label = (*cells, "")[:2]
                if not sequence.strip():
                    problem(f"{where}: the sequence is empty; fill it in, or take the row out.")
                elif label_column is not None and not label.strip():
                    problem(f"{where}: the label is empty; fill it in, or take the row out.")
                elif half := _half_character(sequence) or _half_character(label):
                    problem(
                        f"{where}: it holds {half!r}, half of a character, which no text in UTF-8 can; "
                        "mend it, or take the row out."
                    )
                else:
                    records.append(Record(sequence, label.strip(), where))
        except csv.Error as error:
            raise ValueError(f"{path} cannot be read as a table: {error}; mend its quotes.") from error
    if not records:
        what = "a sequence" if label_column is None else "a sequence and a label"
        problem(f"{path} holds no row with {what}; fill it.")
    return records


def _columns(
    rows: Iterable[tuple[int, dict[str, object] | str | None]],
    path: Path,
    wanted: list[str],
    problem: Problem,
) -> Iterator[tuple[int, list[str]]]:
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
            names = ", ".join(map(repr, row)) or "none"
            options = ["sequence_column (--data.sequence_column)", "label_column (--data.label_column)"]
            told = (
                f"{path}, row {number}: there is no column {missing[0]!r}; its columns are {names}; give "
                f"{' and '.join(options[: len(wanted)])}."
            )
            if none_yet:  # of a JSONL, a later row may lack what others have
                raise ValueError(told)
            problem(told)
            continue
        none_yet = False
        yield number, [_as_text(row[name]) for name in wanted]


def _delimited(
    lines: Iterable[str], delimiter: str, header: bool
) -> Iterator[tuple[int, dict[str, object] | str | None]]:
    previous = csv.field_size_limit(2**31 - 1)  # a sequence may be megabytes long
    try:
        # Quotes mean nothing in most TSV files, and an expression or a text may hold a single one.
        quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
        reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=delimiter == ",")
        names: list[str] | None = None
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                yield reader.line_num, None
            elif names is None and header:
                names = [cell.strip() for cell in cells]
            elif names is not None and len(cells) != len(names):
                yield (
                    reader.line_num,
                    f"there are {len(cells)} cells for {len(names)} columns; "
                    "put cells that hold the separator into quotes.",
                )
            else:
                names = names or [str(column) for column in range(len(cells))]
                yield reader.line_num, dict(zip(names, cells, strict=True))
    finally:
        csv.field_size_limit(previous)


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, object] | str | None]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            yield number, None
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            yield number, f"the line is no JSON ({error}); mend it."
            continue
        yield number, row if isinstance(row, dict) else "the line is no JSON object; write {...}."


def _half_character(text: str) -> str:
    """Return the first surrogate without its other half, which JSON can write; empty if there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[error.start]
    return ""


def _as_text(value: object) -> str:
    """Return a cell as text; lists of numbers of JSONL stay readable as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
