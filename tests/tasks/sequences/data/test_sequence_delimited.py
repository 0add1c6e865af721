"""CSV and TSV as spreadsheets and people write them: separators, quotes, names that occur twice."""

from pathlib import Path

import pytest

from subquad.tasks.sequences.data import (
    SequenceData,
    SequenceOptions,
    check_sequences,
    delimited,
    open_sequences,
)
from subquad.tasks.sequences.data.tables import Columns, read_table

HEADER = "sequence,label\n"
BOTH = Columns("sequence", "label")


def read(
    path: Path, text: str, columns: Columns = BOTH
) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """Return (sequence, label) of each row, the problems, and the notes."""
    path.write_bytes(text.encode())
    problems: list[str] = []
    notes: list[str] = []
    records = read_table(path, columns, problems.append, notes.append)
    return [(str(record.sequence), record.label) for record in records], problems, notes


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "sequence;label\nA,C;x\nG;y\n", "the separator is a semicolon, not a comma"),
        ("a.csv", "id\tsequence\tlabel\n1\tA,C\tx\n2\tG\ty\n", "the separator is a tab, not a comma"),
        ("a.csv", "sequence|label\r\nA,C|x\r\nG|y\r\n", "the separator is a bar, not a comma"),
        ("a.tsv", 'sequence,label\n"A,C",x\nG,y\n', "the separator is a comma, not a tab"),
        ("a.csv", "sep=;\nsequence;label\nA,C;x\nG;y\n", None),
        ("a.csv", '"sep=,"\r\nsequence,label\r\n"A,C",x\r\nG,y\r\n', None),
        ("a.csv", "SEP=\t\nsequence\tlabel\nA,C\tx\nG\ty\n", None),
    ],
)
def test_a_separator_is_found_and_a_guess_is_said(
    name: str, text: str, said: str | None, tmp_path: Path
) -> None:
    rows, problems, notes = read(tmp_path / name, text)
    assert rows == [("A,C", "x"), ("G", "y")] and not problems
    assert len(notes) == (said is not None) and all(f"{name}: {said}" in note for note in notes)
    whole = SequenceOptions(file=str(tmp_path / name), val_fraction=0, test_fraction=0, batch_size=1)
    assert SequenceData(whole).notes == notes
    assert check_sequences(whole).problems == notes  # a guess is to be confirmed


def test_a_separator_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sequence~label\nA;C~x\nG~y\n")
    told = SequenceOptions(file=str(path), separator="~", val_fraction=0, test_fraction=0)
    assert open_sequences(told)["train"].info.class_names == ("x", "y") and check_sequences(told).ok
    assert SequenceOptions(separator="tab").separator == "\t"
    with pytest.raises(ValueError, match="separator=';;': give one character"):
        SequenceOptions(separator=";;")


def test_columns_without_names_are_counted_to_find_the_separator(tmp_path: Path) -> None:
    numbered = Columns("1", "0", header=False)
    assert read(tmp_path / "a.csv", "x;AC\ny;G\n", numbered)[0] == [("AC", "x"), ("G", "y")]


def test_no_other_separator_helps(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="row 2: there is no column 'label'; its columns are 'sequence;kind'"
    ):
        read(tmp_path / "a.csv", "sequence;kind\nA;x\n", Columns("sequence;kind", "label"))


def test_a_line_before_the_names_is_told_as_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its columns are '# mine' .or is it another --data.separator"):
        read(tmp_path / "a.csv", "# mine\nsequence,label\nA,x\n")


def test_a_zero_byte_costs_its_own_row(tmp_path: Path) -> None:
    records, problems, _ = read(tmp_path / "a.csv", "sequence,label\nA\0C,x\nG,y\n")
    assert records == [("G", "y")] and "row 2: it holds a zero byte" in problems[0]


def test_a_stray_quote_costs_its_own_row(tmp_path: Path) -> None:
    rows, problems, notes = read(
        tmp_path / "a.csv", HEADER + 'A,x\n"C,x\nG,y\n"T"T,x\nAA,y\n"C\nC",x\n"a ""b""",y\nGG,"x\n'
    )
    assert rows == [("A", "x"), ("G", "y"), ("AA", "y"), ("C\nC", "x"), ('a "b"', "y")]
    assert [problem.partition(":")[0].split()[-1] for problem in problems] == ["3", "5", "10"]
    assert all("cannot be read as a table" in problem for problem in problems)
    assert notes == [
        f"{tmp_path / 'a.csv'}: cells of 1 row(s) run over line ends, the first in row 7; if no text of "
        "yours does, a quote there has lost its other one."
    ]


def test_quotes_that_do_not_close_are_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "MOST_READ_AGAIN", 20_000)
    rows = 'a",b,"\n' * 200  # in quotes or not, each one leaves a quote open
    with pytest.raises(ValueError, match=r"a.csv: row \d+: the quotes there and in other rows do not close"):
        read(tmp_path / "a.csv", HEADER + '"' + rows)


def test_names_that_occur_twice_are_refused_where_they_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a.csv: the column 'label' occurs twice; rename or remove one"):
        read(tmp_path / "a.csv", "sequence,label, label\nA,x,y\n")
    assert read(tmp_path / "a.csv", "sequence,other,other,label\nA,1,2,x\n")[0] == [("A", "x")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + "A,x\n").encode(encoding))
    with pytest.raises(ValueError, match="save it as UTF-8"):
        read_table(path, BOTH)
