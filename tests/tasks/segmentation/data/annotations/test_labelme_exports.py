"""labelme's files of versions 3, 4 and 5."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation_exports import HEIGHT, SQUARE, WIDTH, masks, source, square, write_json, write_picture
from picture_bytes import encoded
from subquad.tasks.segmentation.data.check_exports import check_export

PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def shape(label: str = "cat", points: Any = SQUARE, kind: str = "polygon", **more: Any) -> dict[str, Any]:
    entry = {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind}
    return {**entry, "flags": {}, "mask": None, **more}


def content(*shapes: dict[str, Any], path: str = "a.jpg", data: str | None = None) -> dict[str, Any]:
    return {
        "version": "5.4.1", "flags": {}, "shapes": [*shapes], "imagePath": path, "imageData": data,
        "imageHeight": HEIGHT, "imageWidth": WIDTH,
    }  # fmt: skip


def test_version_5(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    write_picture(tmp_path / "unseen.jpg")
    write_json(
        tmp_path / "a.json",
        content(shape(group_id=3), shape("dog", [[0, 0], [3, 2]], "rectangle")),
        mark=True,
    )
    found = source(tmp_path)
    assert found.labels.names == ("background", "cat", "dog") and found.export.tool == "labelme"
    mask = masks(tmp_path)["a"]
    expected = square()
    expected[:2, :3] = 2
    assert (mask == expected).all()
    assert any("not annotated" in note and "unseen.jpg" in note for note in found.remarks)


def test_version_4_in_folders_with_the_path_of_windows(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_picture(tmp_path / "images" / split / f"{split}.jpg")
        old = {**content(shape(), path=f"..\\..\\images\\{split}\\{split}.jpg"), "version": "4.5.6"}
        write_json(tmp_path / "labels" / split / f"{split}.json", old)
    assert source(tmp_path).splits == ["train", "val"]
    assert (masks(tmp_path, "val")["val"] == square()).all()


def test_a_picture_that_was_converted(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    write_json(tmp_path / "labels" / "a.json", content(shape(), path="a.heic"))
    assert (masks(tmp_path)["a"] == square()).all()


def test_version_3(tmp_path: Path) -> None:
    """Without kinds of shapes and sizes, with colours."""
    write_picture(tmp_path / "a.jpg")
    old = {
        "version": "3.5.0", "flags": {}, "lineColor": [0, 255, 0, 128], "fillColor": [255, 0, 0, 128],
        "shapes": [{"label": "cat", "line_color": None, "fill_color": None, "points": SQUARE}],
        "imagePath": "a.jpg", "imageData": None,
    }  # fmt: skip
    write_json(tmp_path / "a.json", old)
    assert (masks(tmp_path)["a"] == square()).all()


def test_circles_and_what_has_no_area(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    lines = shape("road", [[0, 0], [5, 5], [9, 2]], "linestrip"), shape("pole", [[1, 1]], "point")
    write_json(tmp_path / "a.json", content(shape("cat", [[16, 12], [16, 17]], "circle"), *lines))
    found = source(tmp_path)
    assert found.labels.names == ("background", "cat")
    assert abs(masks(tmp_path)["a"].sum() - np.pi * 25) < 6
    assert any(
        "1 without an area: linestrip" in note and "1 without an area: point" in note
        for note in found.remarks
    )


def test_masks_of_the_tool_for_ai(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    patch = base64.b64encode(encoded("PNG", np.full((8, 8), True))).decode()
    write_json(tmp_path / "a.json", content(shape(points=[[4, 6], [11, 13]], kind="mask", mask=patch)))
    assert (masks(tmp_path)["a"] == square()).all()


def test_later_shapes_are_painted_over_earlier(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    whole = [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]
    write_json(tmp_path / "a.json", content(shape(), shape("dog", whole)))
    assert (masks(tmp_path)["a"] == 2).all()


def test_labels_with_a_meaning(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    hole = shape("_background_", [[6, 8], [8, 8], [8, 10], [6, 10]])
    ignored = shape("__ignore__", [[20, 2], [24, 2], [24, 6], [20, 6]])
    write_json(tmp_path / "a.json", content(shape(), hole, ignored))
    expected = square()
    expected[8:10, 6:8], expected[2:6, 20:24] = 0, 255
    assert source(tmp_path).labels.names == ("_background_", "cat")
    assert (masks(tmp_path)["a"] == expected).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_inside_of_the_file(tmp_path: Path, kind: str) -> None:
    packed = base64.b64encode(encoded(kind, PIXELS)).decode()
    write_json(tmp_path / "train" / "a.json", content(shape(), path="C:\\gone\\b.jpg", data=packed))
    data = source(tmp_path).open("train")
    assert data.names == ["a"] and (data[0].labels.numpy() == square()).all()
    if kind == "PNG":
        assert (data[0].image.permute(1, 2, 0).numpy() == PIXELS).all()


def test_the_file_beside_is_preferred_to_the_picture_inside(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png")
    packed = base64.b64encode(encoded("PNG", PIXELS)).decode()
    write_json(tmp_path / "a.json", content(shape(), path="renamed.jpg", data=packed))
    assert source(tmp_path).open(None).source(0) == path


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (shape(points=[[1, 2], [float("inf"), 3], [4, 5]]), "no finite numbers"),
        (shape(points=[[1e200, 2], [1e300, 3]], kind="circle"), "beyond a billion"),
        (shape(points=[["a", 2], [3, 3], [4, 5]]), "could not convert"),
        (shape(points=5), "cannot reshape"),
        ({"label": "cat"}, "an entry has no 'points'"),
        (shape(kind="mask", mask="!!!"), "cannot be decoded"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, entry: dict[str, Any], sentence: str) -> None:
    write_picture(tmp_path / "a.jpg")
    write_json(tmp_path / "a.json", content(entry))
    with pytest.raises(ValueError, match=sentence):
        masks(tmp_path)
    assert check_export(tmp_path, "labelme").problems


@pytest.mark.parametrize("path", ["../secret.jpg", "/etc/hostname", "b.jpg", ""])
def test_a_picture_that_is_not_there(tmp_path: Path, path: str) -> None:
    write_picture(tmp_path / "secret.jpg")
    write_json(tmp_path / "data" / "a.json", content(shape(), path=path))
    with pytest.raises(ValueError, match="are not below .*; add these pictures"):
        source(tmp_path / "data")


def test_too_few_corners_are_counted(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    write_json(
        tmp_path / "a.json",
        content(shape(), shape(points=[[1, 1], [2, 2]]), shape(points=[[1, 1]], kind="circle")),
    )
    assert any(
        "1 with fewer than 3 corners" in n and "1 circle of one point" in n for n in source(tmp_path).remarks
    )


def test_two_files_for_one_picture(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    for name in ("a.json", "b.json"):
        write_json(tmp_path / name, content(shape()))
    with pytest.raises(ValueError, match="'a.jpg' are annotated twice"):
        source(tmp_path)
