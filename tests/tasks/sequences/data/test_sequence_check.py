"""`check_sequences` finds what is wrong and counts what is right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subquad.tasks.sequences.data import SequenceData, SequenceOptions, SequenceReport, check_sequences


def checked(tmp_path: Path, text: str, test: str | None = None, **options: Any) -> SequenceReport:
    (tmp_path / "train.csv").write_text("sequence,label\n" + text)
    if test is not None:
        (tmp_path / "test.csv").write_text("sequence,label\n" + test)
    return check_sequences(
        SequenceOptions(root=str(tmp_path), **{"val_fraction": 0, "test_fraction": 0} | options)
    )


def test_counts(tmp_path: Path) -> None:
    report = checked(
        tmp_path, "abc,x\nab,y\na,x\n" + "d" * 70 + ",x\n", "ee,y\nabz,x\n", length=64, unknown="allow"
    )
    assert report.ok and report.class_names == ("x", "y") and report.kept == 64
    train, test = report.splits
    assert dict(train.lengths) == {3: 1, 2: 1, 1: 1, 70: 1} and dict(train.labels) == {"x": 3, "y": 1}
    assert dict(test.unknown) == {"e": 2, "z": 1} and not train.unknown
    text = str(report)
    assert "train                4   length: 1" not in text and "1, 2.5, 70" in text
    assert "25.0 % of train are longer than 64 and lose their end." in text
    unknown = (
        "test: 3 of 5 tokens (60.0%) in 2 of 2 sequences are unknown to training, read as <unk>: 'e' (2)"
    )
    assert unknown in text
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "1", "0"] in rows and ["128", "1", "0"] in rows and ["16", "0", "0"] in rows
    assert ["x", "75.00", "50.00"] in rows and "problems: none" in text


def test_problems_are_collected(tmp_path: Path) -> None:
    report = checked(tmp_path, "ab,x\n,x\nba,\ncd,y\na,b,c\nab,x\n\nabc,x\n", "ab,x\nb,z\n")
    found = "\n".join(report.problems)
    for part in (
        "row 3: the sequence is empty",
        "row 4: the label is empty",
        "row 6: there are 3 cells for 2 columns",
        "row 8: the row is empty",
        "test.csv, row 3: the class 'z' occurs in test, but not in training (x, y)",
        "train and test share sequences, 1 in all: ",
    ):
        assert part in found
    assert len(report.problems) == 6 and not report.ok and "problems: 6\n1. " in str(report)
    assert any("train holds sequences more than once, 1 in all" in note for note in report.notes)


def test_labels_that_do_not_fit_the_task(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n / 7:.3f}\n" for n in range(30))
    (problem,) = checked(tmp_path, rows).problems
    assert (
        "30 different labels in 30 sequences; if they are numbers to be predicted, give task=regression "
        "(--data.task regression)." in problem
    )
    report = checked(tmp_path, rows + "a,b\n", task="regression")
    assert len(report.problems) == 1 and "the label 'b' is no finite number" in report.problems[0]
    assert "numbers to be predicted" in str(report)
    (problem,) = checked(tmp_path, "a,x\nb,x\n").problems
    assert "all sequences of training have the label 'x'" in problem


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (("cat", "Cat"), "the classes 'Cat', 'cat' differ only in case"),
        (("big cat", "big  cat"), "differ only in case, blanks"),
        (("caf\u00e9", "cafe\u0301"), "differ only in case, blanks, or how a letter"),
        (("1", "1.0", "01"), "the classes '01', '1', '1.0' differ only"),
        (("x", "nan"), "the class 'nan' is how tables write a missing value"),
    ],
)
def test_classes_that_nobody_means(labels: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    rows = "".join(f"{'AC' * (n + 1)},{labels[n % len(labels)]}\n" for n in range(60))
    report = checked(tmp_path, rows)
    assert len(report.problems) == 1 and problem in report.problems[0]
    data = SequenceData(SequenceOptions(file=str(tmp_path / "train.csv"), batch_size=4))
    assert data.notes == report.problems  # training says so, and goes on


def test_numbers_and_ids(tmp_path: Path) -> None:
    report = checked(tmp_path, "1 2,x\n1 b,y\n3,y\n", tokens="numbers")
    assert report.splits[0].samples == 2 and "'1 b' is no sequence of numbers" in report.problems[0]
    report = checked(tmp_path, "1 2,x\n3 z,y\n", tokens="ids")
    assert "'z' is no whole number" in report.problems[0] and report.splits[0].samples == 2
    report = checked(tmp_path, "1 2,x\n3,y\n", "7,x\n", tokens="ids")
    assert len(report.problems) == 1 and dict(report.splits[1].unknown) == {"7": 1}


def test_letters_of_genomes(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">1\nACGTNR!\n>2\n>3\nAC\n>4\n" + "ACGT" * 9 + "X\n")
    (tmp_path / "b.fa").write_text(">1\nacgt1\n>2\nACGTRN\n")
    report = check_sequences(SequenceOptions("genome", str(tmp_path), val_fraction=0, test_fraction=0))
    for problem, part in zip(
        report.problems,
        (
            "a.fa, line 2: '!' is no letter of the nucleic acid code",
            "a.fa, line 3: no sequence follows the header",
            "b.fa, line 2: '1' is no letter",
            "train: 1 of 45 tokens (2.2%) in 1 of 3 sequences are unknown to the alphabet, read as N: 'X'",
        ),
        strict=True,
    ):
        assert part in problem
    assert "1 letters mean one of several bases and count as N: R (1)." in str(report)


def test_texts_and_pictures(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("neg", "pos"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            (folder / "0.txt").write_text(name + split)
            (folder / "1.txt").write_bytes(b"" if split == "train" else b"same\xff")
    report = check_sequences(SequenceOptions("text", str(tmp_path), val_fraction=0))
    assert len(report.problems) == 2 and all("1.txt is empty" in problem for problem in report.problems)
    assert "test holds sequences more than once, 1 in all" in str(report)
    rows = np.random.default_rng(0).integers(0, 10, (10, 3073), np.uint8)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        (tmp_path / f"{name}.bin").write_bytes(rows.tobytes())
    report = check_sequences(SequenceOptions("image", str(tmp_path)))
    assert dict(report.splits[0].lengths) == {1024: report.splits[0].samples}
    assert any("train and test share sequences" in problem for problem in report.problems)


def test_made_sequences() -> None:
    report = check_sequences(SequenceOptions("order", length=10, eval_samples=50))
    assert report.ok and [split.samples for split in report.splits] == [200, 50, 50]
    assert "XY" in str(report) and "made as they are needed" in str(report)
    assert "numbers to be predicted" in str(check_sequences(SequenceOptions("adding", length=10)))


@pytest.mark.slow
@pytest.mark.data
def test_the_shared_reviews(shared_data: Path) -> None:
    report = check_sequences(SequenceOptions("text"))
    assert sum(split.samples for split in report.splits) == 50_000
    assert "train and test share sequences, 110 in all" in "".join(report.problems)
