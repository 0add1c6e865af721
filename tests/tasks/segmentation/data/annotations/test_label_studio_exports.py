"""Label Studio 1.x: JSON, JSON_MIN and the pictures of brushes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotation_exports import (
    HEIGHT,
    SQUARE,
    WIDTH,
    brushed,
    masks,
    source,
    square,
    write_json,
    write_picture,
)
from subquad.tasks.segmentation.data.check_exports import check_export

PERCENT = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in SQUARE]
BOX = {"x": 12.5, "y": 25.0, "width": 25.0, "height": 100 * 8 / HEIGHT, "rotation": 0}


def region(kind: str = "polygonlabels", label: str = "cat", **value: Any) -> dict[str, Any]:
    value = value or {"points": PERCENT, "closed": True}
    return {
        "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "id": "x1", "type": kind,
        "from_name": "label", "to_name": "image", "origin": "manual", "value": {**value, kind: [label]},
    }  # fmt: skip


def task(
    *regions: Any, image: str = "/data/upload/1/8f3c0a1b-a.jpg", number: int = 1, **more: Any
) -> dict[str, Any]:
    annotation = {
        "id": 5, "completed_by": 1, "result": [*regions], "was_cancelled": False, "ground_truth": False,
        "updated_at": "2024-05-01T10:00:00.000000Z", **more,
    }  # fmt: skip
    return {
        "id": number, "annotations": [annotation], "file_upload": "8f3c0a1b-a.jpg", "drafts": [],
        "predictions": [], "data": {"caption": "a", "image": image}, "meta": {}, "project": 1,
    }  # fmt: skip


REGIONS = {
    "polygon": region(),
    "box": region("rectanglelabels", **BOX),
    "brush": region("brushlabels", format="rle", rle=brushed(square())),
    "labels in a tag of their own": region("labels", points=PERCENT, closed=True),
}


@pytest.mark.parametrize("kind", REGIONS)
@pytest.mark.parametrize("mini", [False, True])
def test_regions(tmp_path: Path, kind: str, mini: bool) -> None:
    write_picture(tmp_path / "photos" / "a.jpg")
    entry = REGIONS[kind]
    content: Any = task(entry)
    if mini:
        sizes = {key: entry[key] for key in ("original_width", "original_height")}
        content = {
            "image": "/data/upload/1/8f3c0a1b-a.jpg", "id": 1, "label": [{**entry["value"], **sizes}],
            "annotator": 1, "annotation_id": 5, "created_at": "2024", "updated_at": "2024", "lead_time": 3.1,
        }  # fmt: skip
    write_json(tmp_path / "project-1-at-2024.json", [content], mark=True)
    found = source(tmp_path)
    assert found.export.tool == "Label Studio" and found.labels.names == ("background", "cat")
    assert (masks(tmp_path)["a"] == square()).all()


def test_ellipses_and_turned_boxes(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    ellipse = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 100 * 4 / HEIGHT, "rotation": 90}
    write_json(tmp_path / "x.json", [task(region("ellipselabels", **ellipse))])
    found = np.argwhere(masks(tmp_path)["a"])
    assert found.min(0).tolist() == [4, 12] and found.max(0).tolist() == [19, 19]
    # About the upper left corner: to its left afterwards.
    box = {"x": 50, "y": 25, "width": 25, "height": 100 * 4 / HEIGHT, "rotation": 90}
    write_json(tmp_path / "x.json", [task(region("rectanglelabels", **box))])
    found = np.argwhere(masks(tmp_path)["a"])
    assert found.min(0).tolist() == [6, 12] and found.max(0).tolist() == [13, 15]


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=pets/my%20c%C3%A4t.jpg", "s3://bucket/pets/my cät.jpg", "gs://b/my%20c%C3%A4t.jpg",
        "http://localhost:8080/data/upload/3/12345678-my_cät.jpg", "/data/upload/3/12345678-my_cät.jpg",
        "my cät.jpg", "C:\\pets\\my cät.jpg",
    ],
)  # fmt: skip
def test_addresses(tmp_path: Path, address: str) -> None:
    write_picture(tmp_path / "pets" / "my cät.jpg")
    write_json(tmp_path / "x.json", [task(region(), image=address)])
    assert (masks(tmp_path)["my cät"] == square()).all()


def test_an_uploaded_copy_is_preferred(tmp_path: Path) -> None:
    for name in ("8f3c0a1b-a.jpg", "a.jpg"):
        write_picture(tmp_path / "images" / name)
    write_json(tmp_path / "x.json", [task(region())])
    assert [*masks(tmp_path)] == ["8f3c0a1b-a"]


def test_one_annotation_of_several(tmp_path: Path) -> None:
    """The ground truth, or else the one that was changed last; skipped ones never."""
    write_picture(tmp_path / "a.jpg")
    entry = task(region())
    first = entry["annotations"][0]
    later = {**first, "id": 6, "updated_at": "2024-06-01", "result": [region(label="dog")]}
    skipped = {
        **first,
        "id": 7,
        "updated_at": "2024-07-01",
        "was_cancelled": True,
        "result": [region(label="cow")],
    }
    entry["annotations"] = [later, first, skipped]
    write_json(tmp_path / "x.json", [entry])
    assert source(tmp_path).labels.names == ("background", "dog")
    assert any(
        "'/data/upload/1/8f3c0a1b-a.jpg', annotated several times" in n for n in source(tmp_path).remarks
    )
    entry["annotations"][1] = {**first, "ground_truth": True}
    write_json(tmp_path / "x.json", [entry])
    assert source(tmp_path).labels.names == ("background", "cat")


def test_tasks_that_nobody_annotated_are_left_out_and_empty_ones_are_background(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write_picture(tmp_path / name)
    unseen = {**task(image="c.jpg", number=3), "annotations": []}
    write_json(tmp_path / "x.json", [task(region(), image="a.jpg"), task(image="b.jpg", number=2), unseen])
    found = masks(tmp_path)
    assert [*found] == ["a", "b"] and not found["b"].any()
    assert any("'c.jpg'" in note and "not annotated" in note for note in source(tmp_path).remarks)


def test_what_is_no_region_is_passed_by(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    choice = {
        "value": {"choices": ["dark"]},
        "from_name": "c",
        "to_name": "image",
        "type": "choices",
        "id": "z",
    }
    bare = {**region(), "type": "polygon", "value": {"points": PERCENT}}  # the other tag has the label
    lone = {**bare, "id": "other"}
    key_point = region("keypointlabels", x=3, y=4, width=0.3)
    relation = {"type": "relation", "from_id": "x1", "to_id": "x2", "direction": "right"}
    write_json(tmp_path / "x.json", [task(region(), choice, bare, lone, key_point, relation)])
    assert (masks(tmp_path)["a"] == square()).all()
    assert any("1 without a class" in note for note in source(tmp_path).remarks)


def broken(change: Any) -> Any:
    entry = task(region())
    change(entry)
    return [entry]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (broken(lambda t: t["annotations"][0]["result"][0].pop("original_width")), "no original_width"),
        (
            broken(lambda t: t["annotations"][0]["result"][0].update(image_rotation=90)),
            "turned in Label Studio",
        ),
        (
            broken(lambda t: t["annotations"][0]["result"][0]["value"].update(points=[[1, "x"]])),
            "could not convert",
        ),
        (broken(lambda t: t["annotations"][0].pop("result")), "an entry has no 'result'"),
        (broken(lambda t: t["data"].update(image="../../etc/passwd.jpg")), "add these pictures"),
        (broken(lambda t: t.update(data={"text": "hello"})), "tasks '1' of .* have no picture"),
        ([task(region("brushlabels", format="rle", rle=brushed(square())[:20]))], "cut off"),
        ([task(region("brushlabels", format="rle", rle=brushed(np.ones((3, 3)))))], "painted 9 pixels"),
        ([task(region("brushlabels", format="rle", rle=[300, -1]))], "is not as|out of bounds"),
        ([task(region()), task(region(), number=2)], "annotated twice"),
        ([5, "/data/upload/", {}], "is not as Label Studio writes it"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, content: Any, sentence: str) -> None:
    write_picture(tmp_path / "a.jpg")
    write_json(tmp_path / "x.json", content)
    with pytest.raises(ValueError, match=sentence):
        masks(tmp_path)
    assert check_export(tmp_path, "label_studio").problems


def stroke(root: Path, name: str, mask: np.ndarray) -> None:
    (root / "brushes").mkdir(exist_ok=True)
    Image.fromarray(255 * mask).save(root / "brushes" / name)


def test_pictures_of_brushes(tmp_path: Path) -> None:
    for name in ("1.jpg", "task-2.jpg", "a.jpg"):
        write_picture(tmp_path / "images" / name)
    whole = np.ones((HEIGHT, WIDTH), np.uint8)
    for name, mask in (
        ("task-1-annotation-4-by-1-tag-dog-0.png", whole),  # an older annotation
        ("task-1-annotation-5-by-1-tag-dog-0.png", whole),
        ("task-1-annotation-5-by-1-tag-my-cat-1.png", square()),
        ("task-2-annotation-6-by-me@x.org-brush_label-dog-0.png", square()),
    ):
        stroke(tmp_path, name, mask)
    found = source(tmp_path)
    assert found.labels.names == ("background", "dog", "my-cat") and len(found.export.items) == 2
    assert (masks(tmp_path)["1"] == square(2, rest=1)).all() and (masks(tmp_path)["task-2"] == square()).all()
    assert not any("brushes/" in note for note in found.remarks)


def test_tasks_tell_which_pictures_brushes_are_of(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.jpg")
    stroke(tmp_path, "task-9-annotation-4-by-1-tag-cat-0.png", square())
    with pytest.raises(ValueError, match="nothing tells of which picture 'task-9'"):
        source(tmp_path)
    data = {"image": "/data/upload/1/8f3c0a1b-a.jpg"}
    write_json(tmp_path / "tasks.json", [{"id": 9, "data": data, "annotations": []}])
    assert (masks(tmp_path)["a"] == square()).all()
