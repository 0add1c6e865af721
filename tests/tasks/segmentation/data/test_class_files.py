"""Files of class names: what they say twice, or in another order, is not read as something else."""

import json
from pathlib import Path

import pytest

from subquad.tasks.segmentation.data.folder import find_labels
from subquad.tasks.segmentation.data.labels import LabelSet


def text(tmp_path: Path, *lines: str) -> LabelSet:
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return LabelSet.from_file(path)


@pytest.mark.parametrize("between", [" ", ": ", ",", ";", "\t", ". ", ") "])
def test_numbers_that_are_the_indices_are_no_part_of_the_names(tmp_path: Path, between: str) -> None:
    assert text(tmp_path, *(f"{n}{between}{name}" for n, name in enumerate(["a b", "c"]))).names == (
        "a b",
        "c",
    )


@pytest.mark.parametrize("lines", [("1 a", "0 b"), ("1 a", "2 b"), ("0 a", "5 b")])
def test_numbers_that_are_not_the_indices_are_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"numbered '\d', '\d', but classes are numbered from 0"):
        text(tmp_path, *lines)


def test_names_that_begin_with_a_number_are_names(tmp_path: Path) -> None:
    assert text(tmp_path, "road", "2 wheels", "3d  print").names == ("road", "2 wheels", "3d print")


@pytest.mark.parametrize("line", ["{name} {r} {g} {b}", "{r} {g} {b}\t{name}", "{n} {r} {g} {b} {name}"])
def test_colors_may_stand_on_either_side(tmp_path: Path, line: str) -> None:
    colors = ((64, 128, 64), (0, 0, 3))
    lines = [
        line.format(n=n, name=name, r=r, g=g, b=b)
        for n, (name, (r, g, b)) in enumerate(zip(["Wild animal", "Sky"], colors, strict=True))
    ]
    labels = text(tmp_path, *lines)
    assert labels.names == ("Wild animal", "Sky") and labels.palette == colors


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"classes": ["a"], "classes": ["b"]}', "'classes' occurs twice"),
        ('{"classes": ["a", " "]}', "class 1 has no name"),
        (json.dumps({"classes": ["a", "b\n\x1b[31m"]}), "without control characters"),
    ],
)
def test_json_that_contradicts_itself_or_names_nothing(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "classes.json").write_text(content)
    with pytest.raises(ValueError, match=rf"cannot read the classes from .*classes.json: .*{reason}"):
        find_labels(tmp_path)


def test_two_files_must_name_the_same_classes(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text('{"classes": ["a", "b"]}')
    (tmp_path / "classes.txt").write_text("a\nb\n")
    labels = find_labels(tmp_path)
    assert labels is not None and labels.names == ("a", "b")
    (tmp_path / "classes.txt").write_text("b\na\n")
    with pytest.raises(
        ValueError, match=r"classes.json and .*classes.txt name other classes.*--data.classes"
    ):
        find_labels(tmp_path)
    labels = find_labels(tmp_path, tmp_path / "classes.txt")
    assert labels is not None and labels.names == ("b", "a")


def test_a_file_that_is_not_there_is_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "classes.json").symlink_to(tmp_path / "annexed")
    with pytest.raises(FileNotFoundError, match="a link to nothing"):
        find_labels(tmp_path, num_classes=2)
