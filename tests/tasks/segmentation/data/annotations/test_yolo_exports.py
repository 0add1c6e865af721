"""YOLO's segmentation texts, as Ultralytics, Roboflow, CVAT and Label Studio lay them out."""

from itertools import pairwise
from pathlib import Path

import pytest

from annotation_exports import (
    HEIGHT,
    SQUARE,
    WIDTH,
    masks,
    source,
    square,
    write_json,
    write_picture,
    write_text,
)
from subquad.tasks.segmentation.data.check_exports import check_export

LINE = "0 " + " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in SQUARE)
NAMES = "names: [cat, dog]\n"


def pair(root: Path, images: str, labels: str, name: str = "a", text: str = LINE) -> None:
    write_picture(root / images / f"{name}.JPG", format="JPEG")
    write_text(root / labels / f"{name}.txt", text)


@pytest.mark.parametrize(
    ("images", "labels", "settings"),
    [
        ("images/{}", "labels/{}", "path: ../datasets/x\ntrain: images/train\nval: images/val\n" + NAMES),
        ("{}/images", "{}/labels", "train: ../train/images\nval: ../val/images\nnames: ['cat', 'dog']\n"),
        ("images/{}", "labels/{}", "train: /x/images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"),
        (
            "images/{}",
            "labels/{}",
            "#\ntrain: [images/train]\nval: [images/val]\nnames: {1: dog, 0: cat}\n",
        ),
    ],
)
def test_layouts(tmp_path: Path, images: str, labels: str, settings: str) -> None:
    for split in ("train", "val"):
        pair(tmp_path, images.format(split), labels.format(split), f"{split} ü")
    write_text(tmp_path / "data.yaml", settings, mark=True)
    found = source(tmp_path)
    assert found.splits == ["train", "val"] and found.labels.names == ("background", "cat", "dog")
    assert (masks(tmp_path, "val")["val ü"] == square()).all()


def test_lists_of_pictures(tmp_path: Path) -> None:
    """As CVAT writes it: train.txt names the pictures."""
    for name in ("a", "b"):
        pair(tmp_path, "images/x", "labels/x", name)
    write_text(tmp_path / "data.yaml", "path: .\ntrain: train.txt\nval: val.txt\n" + NAMES)
    write_text(tmp_path / "train.txt", "data/images/x/a.JPG\n")
    write_text(tmp_path / "val.txt", "data\\images\\x\\b.JPG\r\n")
    assert [*masks(tmp_path, "train")] == ["a"] and [*masks(tmp_path, "val")] == ["b"]


def test_one_folder_for_both_is_no_split(tmp_path: Path) -> None:
    pair(tmp_path, "images", "labels")
    write_text(tmp_path / "data.yaml", "train: images\nval: images\n" + NAMES)
    assert source(tmp_path).splits == [None]


@pytest.mark.parametrize(
    ("name", "text"),
    [("classes.txt", "cat\ndog\n"), ("obj.names", "cat\ndog"), ("notes.json", None)],
)
def test_names_of_other_tools(tmp_path: Path, name: str, text: str | None) -> None:
    pair(tmp_path, "images", "labels")
    if text is None:
        write_json(
            tmp_path / name, {"categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}], "info": {}}
        )
    else:
        write_text(tmp_path / name, text)
    assert source(tmp_path).labels.names == ("background", "cat", "dog")


def test_texts_of_uploads_to_label_studio(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "my a.png")
    write_text(tmp_path / "labels" / "8f3c0a1b-my_a.txt", LINE)
    write_text(tmp_path / "classes.txt", "cat\n")
    assert (masks(tmp_path)["my a"] == square()).all()


def test_pictures_without_a_text_are_background(tmp_path: Path) -> None:
    pair(tmp_path, "images", "labels")
    pair(tmp_path, "images", "labels", "empty", "\n")
    write_picture(tmp_path / "images" / "none.png")
    write_text(tmp_path / "data.yaml", NAMES)
    found = masks(tmp_path)
    assert [*found] == ["a", "empty", "none"] and not found["none"].any() and not found["empty"].any()
    assert "2 pictures without a shape" in source(tmp_path).remarks[0]


def test_the_smallest_is_on_top(tmp_path: Path) -> None:
    whole = "1 0 0 1 0 1 1 0 1"
    pair(tmp_path, "images", "labels", text=f"{LINE}\n{whole}\n")
    write_text(tmp_path / "data.yaml", NAMES)
    assert (masks(tmp_path)["a"] == square(1, rest=2)).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0 0.5 0.5 0.1 0.1\n", r"'a.txt' hold boxes \(five numbers a line\)"),
        ("7 0 0 1 0 1 1\n", "classes '7' are used in .* but the names are 0 to 1"),
        ("0 0 0 1 0 1 1 1\n", "odd number of coordinates"),
        ("0 0 0 1 0 nan 1\n", "no finite numbers"),
        ("0 0 0 1 0 one 1\n", "line 1 holds no numbers"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    pair(tmp_path, "images", "labels", text=text)
    write_text(tmp_path / "data.yaml", NAMES)
    with pytest.raises(ValueError, match=sentence):
        source(tmp_path)
    assert check_export(tmp_path, "yolo").problems


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("names: {a: cat}\n", "need whole numbers"),
        ("names: [\n", "is no YAML"),
        ("names:\n", "have no names; write a data.yaml"),
    ],
)
def test_settings_that_tell_nothing(tmp_path: Path, settings: str, sentence: str) -> None:
    pair(tmp_path, "images", "labels")
    write_text(tmp_path / "data.yaml", settings)
    with pytest.raises(ValueError, match=sentence):
        source(tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (f"{NAMES}train: *e\n", "`train` of .* is neither a path nor a list of paths"),
        (f"{NAMES}val: [*e]\n", "`val` of .* is neither a path nor a list of paths"),
        (f"{NAMES}test: {{a: b}}\n", "`test` of .* is neither a path nor a list of paths"),
        ("names: [*e, dog]\n", "`names` of .* hold lists or more; give one name a class"),
        ("names: {0: cat, 1: *e}\n", "`names` of .* hold lists or more; give one name a class"),
    ],
)
def test_aliases_of_aliases_are_never_made_into_text(tmp_path: Path, settings: str, sentence: str) -> None:
    """Each line is ten times the one before: twenty of them would fill any machine."""
    pair(tmp_path, "images", "labels")
    levels = [f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]" for below, name in pairwise("abcde")]
    write_text(tmp_path / "data.yaml", "\n".join(["a: &a [lol]", *levels, settings]))
    with pytest.raises(ValueError, match=sentence):
        check_export(tmp_path, "yolo")


@pytest.mark.parametrize("content", [[1], {"categories": [1]}, {"categories": [{"id": 0}]}])
def test_notes_of_another_kind_are_one_sentence(tmp_path: Path, content: object) -> None:
    pair(tmp_path, "images", "labels")
    write_json(tmp_path / "notes.json", content)
    with pytest.raises(ValueError, match=r"notes.json is not as Label Studio writes it"):
        check_export(tmp_path, "yolo")


def test_nothing_that_settings_name_is_run(tmp_path: Path) -> None:
    pair(tmp_path, "images", "labels")
    write_text(tmp_path / "data.yaml", "names: !!python/object/apply:os.abort [cat]\n")
    assert source(tmp_path).labels.names == ("background", "cat")


def test_names_that_are_missing_are_asked_for(tmp_path: Path) -> None:
    pair(tmp_path, "images", "labels")
    with pytest.raises(ValueError, match=r"have no names; write a data.yaml"):
        source(tmp_path)


def test_a_text_without_a_picture(tmp_path: Path) -> None:
    pair(tmp_path, "images", "labels")
    write_text(tmp_path / "labels" / "lost.txt", LINE)
    write_text(tmp_path / "data.yaml", NAMES)
    with pytest.raises(ValueError, match=r"'lost.txt' of .* have no picture"):
        source(tmp_path)


def test_corners_beyond_the_picture_are_counted(tmp_path: Path) -> None:
    pair(tmp_path, "images", "labels", text="0 -0.5 -0.5 0.5 -0.5 0.5 0.5 -0.5 0.5\n")
    write_text(tmp_path / "data.yaml", NAMES)
    assert masks(tmp_path)["a"].sum() == HEIGHT * WIDTH // 4
    assert any("reach beyond the picture" in note for note in source(tmp_path).remarks)
