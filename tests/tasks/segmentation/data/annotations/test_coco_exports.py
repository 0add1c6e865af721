"""Instances and panoptic files of COCO, as CVAT, Roboflow, Label Studio and others write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from annotation_exports import (
    HEIGHT,
    SQUARE,
    WIDTH,
    coco,
    flat,
    masks,
    source,
    square,
    write_json,
    write_picture,
)
from subquad.tasks.segmentation.data.check_exports import check_export

POLYGON = {"segmentation": [flat(SQUARE)]}


def write(root: Path, content: Any, name: str = "annotations/instances_default.json") -> Path:
    for image in content["images"]:
        write_picture(root / "images" / image["file_name"])
    return write_json(root / name, content)


def test_a_job_of_cvat(tmp_path: Path) -> None:
    write(tmp_path, coco(["a.jpg", "b.jpg"], [POLYGON], [(1, "cat"), (2, "dog")]))
    found = source(tmp_path)
    assert found.labels.names == ("background", "cat", "dog") and found.labels.palette[0] == (0, 0, 0)
    assert found.splits == [None]
    result = masks(tmp_path)
    assert (result["a"] == square()).all() and (result["b"] == 0).all()
    assert "1 pictures without a shape, all background" in found.remarks[0]


def test_masks_are_those_of_pycocotools(tmp_path: Path) -> None:
    """Polygons with parts, run lengths packed and not, of categories from 0 on with gaps."""
    rng = np.random.default_rng(0)
    annotations = []
    for n in range(12):
        corners = rng.uniform(-5, 40, (5, 2))
        kinds: list[Any] = [
            [flat(corners), flat(rng.uniform(0, 30, (4, 2)))],
            coco_masks.encode(np.asfortranarray(rng.integers(0, 2, (HEIGHT, WIDTH), np.uint8))),
            {"size": [HEIGHT, WIDTH], "counts": [100 + n, 60, HEIGHT * WIDTH - 160 - n]},
        ]
        segmentation = kinds[n % 3]
        if isinstance(segmentation, dict) and isinstance(segmentation["counts"], bytes):
            segmentation["counts"] = segmentation["counts"].decode()
        annotations.append({"segmentation": segmentation, "category_id": [0, 7, 90][n % 3]})
    path = write(tmp_path, coco(["a.jpg"], annotations, [(90, "c"), (0, "a"), (7, "b")]))
    reader = COCO.__new__(COCO)
    content = json.loads(path.read_text())
    reader.imgs = {1: content["images"][0]}
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    parts = [(reader.annToMask(entry), entry["category_id"]) for entry in content["annotations"]]
    for part, category in sorted(parts, key=lambda pair: -int(pair[0].sum())):  # the smallest on top
        expected[part > 0] = {0: 1, 7: 2, 90: 3}[category]
    assert source(tmp_path).labels.names == ("background", "a", "b", "c")
    assert (masks(tmp_path)["a"] == expected).all()


def test_crowds_are_ignored(tmp_path: Path) -> None:
    crowd = {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}, "iscrowd": 1}
    write(tmp_path, coco(["a.jpg"], [POLYGON, crowd]))
    assert (masks(tmp_path)["a"] == square(1, rest=255)).all()
    assert "2 shapes (1 ignored)" in source(tmp_path).remarks[0]


def test_crowds_that_are_none(tmp_path: Path) -> None:
    """CVAT marks as crowds what a brush painted; and nothing but crowds would be nothing at all."""
    counts = coco_masks.encode(np.asfortranarray(square()))["counts"].decode()
    painted = {"segmentation": {"size": [HEIGHT, WIDTH], "counts": counts}, "iscrowd": 1}
    write(tmp_path, coco(["a.jpg", "b.jpg"], [painted]))
    assert (masks(tmp_path)["a"] == square()).all()
    assert any(
        "crowds (iscrowd) of 'a.jpg' are taken for objects" in note for note in source(tmp_path).remarks
    )
    box = {"segmentation": [[20, 1, 24, 1, 24, 4, 20, 4]]}
    write(tmp_path, coco(["a.jpg"], [{**painted, "attributes": {"occluded": False}}, box]))
    assert masks(tmp_path)["a"].sum() == 64 + 12
    write(tmp_path, coco(["a.jpg"], [painted, box]))
    assert (masks(tmp_path)["a"] == 255).sum() == 64


def test_a_category_called_background_is_class_0(tmp_path: Path) -> None:
    write(tmp_path, coco(["a.jpg"], [POLYGON], [(1, "cat"), (2, "Background")]))
    assert source(tmp_path).labels.names == ("Background", "cat")
    assert (masks(tmp_path)["a"] == square()).all()


def test_published_files_of_each_split(tmp_path: Path) -> None:
    for split, folder in (("train", "train2017"), ("val", "val2017")):
        write_picture(tmp_path / folder / "1.jpg")
        write_json(tmp_path / f"annotations/instances_{folder}.json", coco(["1.jpg"], [POLYGON]), mark=True)
        write_json(tmp_path / f"annotations/captions_{folder}.json", {"images": [], "annotations": []})
        write_json(tmp_path / f"annotations/person_keypoints_{folder}.json", coco(["1.jpg"], [POLYGON]))
        data = source(tmp_path).open(split)
        assert [path.parent.name for path in map(data.where, range(len(data)))] == [folder]
    assert source(tmp_path).splits == ["train", "val"]


def test_roboflow(tmp_path: Path) -> None:
    """A file in each folder; the project is a category of its own, which nothing is of."""
    for split in ("train", "valid", "test"):
        write_picture(tmp_path / split / "a_jpg.rf.12ab.jpg")
        content = coco(["a_jpg.rf.12ab.jpg"], [POLYGON], [(0, "Pets"), (1, "cat")])
        content["categories"][0]["supercategory"] = "none"
        content["categories"][1]["supercategory"] = "Pets"
        write_json(tmp_path / split / "_annotations.coco.json", content)
    found = source(tmp_path)
    assert found.splits == ["train", "val", "test"] and found.labels.names == ("background", "cat")
    assert (masks(tmp_path, "val")["a_jpg.rf.12ab"] == square()).all()


def test_a_category_that_is_its_own_group_stays(tmp_path: Path) -> None:
    """As person of COCO, where no picture shows one."""
    content = coco(["a.jpg"], [POLYGON], [(1, "cat"), (2, "person")])
    content["categories"][1]["supercategory"] = "person"
    write(tmp_path, content)
    assert source(tmp_path).labels.names == ("background", "cat", "person")


def test_label_studio(tmp_path: Path) -> None:
    """result.json, categories from 0 on, folders of Windows, lists of numbers that are not nested."""
    write_picture(tmp_path / "images" / "8f3c0a1b-a b.jpg")
    content = coco(
        ["images\\8f3c0a1b-a b.jpg"], [{"segmentation": flat(SQUARE), "category_id": 0}], [(0, "cat")]
    )
    write_json(tmp_path / "result.json", content)
    assert (masks(tmp_path)["8f3c0a1b-a b"] == square()).all()


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("my_test_project", None),
        ("train", "train"),
        ("coco_val_annotations", "val"),
        ("instances_2024_test", "test"),
    ],
)
def test_names_of_files_that_tell_a_split(tmp_path: Path, name: str, split: str | None) -> None:
    write(tmp_path, coco(["a.jpg"], [POLYGON]), f"{name}.json")
    assert source(tmp_path).splits == [split]


def test_pictures_as_they_were_before_the_upload(tmp_path: Path) -> None:
    write_picture(tmp_path / "my a.jpg")
    name = "../../label-studio/data/media/upload/1/8f3c0a1b-my_a.jpg"
    write_json(tmp_path / "result.json", coco([name], [POLYGON]))
    assert (masks(tmp_path)["my a"] == square()).all()


def test_braces_in_names_are_only_names(tmp_path: Path) -> None:
    root = tmp_path / "{0} {x}"
    write(root, coco(["a.jpg"], [{**POLYGON, "category_id": 5}]))
    with pytest.raises(ValueError, match=r"categories '5' are used in .*\{0\} \{x\}"):
        source(root)


def test_classes_of_all_files_are_one_list(tmp_path: Path) -> None:
    for split, category in (("train", "cat"), ("val", "dog")):
        write_picture(tmp_path / split / f"{split}.jpg")
        content = coco([f"{split}.jpg"], [POLYGON], [(1, category)])
        write_json(tmp_path / f"annotations/instances_{split}.json", content)
    assert source(tmp_path).labels.names == ("background", "cat", "dog")
    assert masks(tmp_path, "val")["val"].max() == 2


def test_classes_may_be_chosen(tmp_path: Path) -> None:
    write(tmp_path, coco(["a.jpg"], [POLYGON], [(1, "cat"), (2, "dog")]))
    (tmp_path / "own.txt").write_text("cat\nbackground\n")
    assert (masks(tmp_path, classes=str(tmp_path / "own.txt"))["a"] == square(0, rest=1)).all()
    (tmp_path / "own.txt").write_text("background\ndog\n")
    with pytest.raises(ValueError, match="do not name 'cat'"):
        source(tmp_path, classes=str(tmp_path / "own.txt"))
    (tmp_path / "own.txt").write_text("cat\ndog\n")
    with pytest.raises(ValueError, match="name 'background' among the classes"):
        source(tmp_path, classes=str(tmp_path / "own.txt"))
    with pytest.raises(ValueError, match="num_classes=5, but .* names 3 classes"):
        source(tmp_path, num_classes=5)


def changed(change: Any) -> dict[str, Any]:
    content = coco(["a.jpg"], [POLYGON])
    change(content)
    return content


BROKEN = {
    "unknown category": (lambda c: c["annotations"][0].update(category_id=9), "categories '9' are used"),
    "unknown image": (lambda c: c["annotations"][0].update(image_id=9), "of pictures it does not list"),
    "no number": (
        lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, float("nan"), 5, 6]]),
        "finite",
    ),
    "odd": (lambda c: c["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "odd number"),
    "boxes": (lambda c: c["annotations"][0].update(segmentation=[]), "boxes or points without an outline"),
    "text": (lambda c: c["annotations"][0].update(segmentation=[["x", 1, 2, 3, 4, 5]]), "could not convert"),
    "missing picture": (
        lambda c: c["images"][0].update(file_name="no.jpg"),
        "'no.jpg' of .* add these pictures",
    ),
    "traversal": (lambda c: c["images"][0].update(file_name="../../etc/passwd"), "passwd' of .* not below"),
    "two ids": (lambda c: c["images"].append(c["images"][0]), "several pictures one id"),
    "no list": (lambda c: c.update(annotations=5), "is not as COCO writes it"),
    "no categories": (lambda c: c.pop("categories"), "an entry has no 'categories'"),
    "a list in a list": (lambda c: c.update(images=[[1]]), "is not as COCO writes it"),
    "one class twice": (
        lambda c: c["images"].append({**c["images"][0], "id": 2}),
        "'a.jpg' are annotated twice",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, kind: str) -> None:
    change, sentence = BROKEN[kind]
    write_picture(tmp_path / "images" / "a.jpg")
    write_json(tmp_path / "annotations" / "instances_default.json", changed(change))
    with pytest.raises(ValueError, match=sentence):
        source(tmp_path)
    problems = check_export(tmp_path, "coco").problems
    assert problems and "\n" not in problems[0]


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100000, "nul", '{"images": [], "annotations": [], "categories": 1}']
)
def test_what_is_no_json_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, coco())
    path.write_text(text)
    report = check_export(tmp_path, "coco") if '"images"' in text else None
    if report is None:
        with pytest.raises(FileNotFoundError, match="no file that COCO wrote"):
            check_export(tmp_path, "coco")
    else:
        assert "is not as COCO writes it" in report.problems[0]


def test_a_file_that_is_cut_off_or_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, coco())
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ValueError, match=r"instances_default.json is no JSON .*; export it again"):
        source(tmp_path)
    assert not check_export(tmp_path, "coco").notes, "nothing is known of the pictures"
    monkeypatch.setattr("subquad.tasks.segmentation.data.annotations.files.ANNOTATION_BYTES", 9)
    with pytest.raises(ValueError, match="a file of annotations has at most 9"):
        source(tmp_path)


def test_shapes_of_too_few_corners_are_left_out_and_counted(tmp_path: Path) -> None:
    write(
        tmp_path,
        coco(
            ["a.jpg"], [POLYGON, {"segmentation": [[1, 1, 5, 5]]}, {"segmentation": [[1, 2], flat(SQUARE)]}]
        ),
    )
    assert (masks(tmp_path)["a"] == square()).all()
    assert any("2 with fewer than 3 corners ('a.jpg')" in note for note in source(tmp_path).remarks)


def test_outlines_beyond_the_picture_are_cut_off_and_counted(tmp_path: Path) -> None:
    write(tmp_path, coco(["a.jpg"], [{"segmentation": [[-9, -9, 5, -9, 5, 5, -9, 5]]}]))
    assert masks(tmp_path)["a"].sum() == 25
    assert any("'a.jpg' reach beyond the picture" in note for note in source(tmp_path).remarks)


def test_another_size_is_told_with_both(tmp_path: Path) -> None:
    write(tmp_path, coco(["a.jpg"], [POLYGON]))
    write_picture(tmp_path / "images" / "a.jpg", 12, 16)
    with pytest.raises(ValueError, match=r"a.jpg is 12 x 16, but its annotations in .* are for 24 x 32"):
        masks(tmp_path)
    assert "24 x 32" in check_export(tmp_path, "coco").problems[0]


def test_a_picture_that_exif_turns(tmp_path: Path) -> None:
    """Annotations of the upright picture, as browsers show it, and of the stored one."""
    exif = Image.Exif()
    exif[274] = 6
    write_picture(tmp_path / "images" / "a.jpg", WIDTH, HEIGHT, exif=exif)  # upright it is HEIGHT x WIDTH
    write_json(tmp_path / "result.json", coco(["a.jpg"], [POLYGON]))
    assert (masks(tmp_path)["a"] == square()).all()
    content = coco(["a.jpg"], [POLYGON])
    content["images"][0].update(height=WIDTH, width=HEIGHT)
    write_json(tmp_path / "result.json", content)
    stored = np.zeros((WIDTH, HEIGHT), np.uint8)
    stored[6:14, 4:12] = 1
    assert (masks(tmp_path)["a"] == stored.T[:, ::-1]).all()


def test_pictures_that_are_not_annotated_are_said(tmp_path: Path) -> None:
    write(tmp_path, coco(["a.jpg"], [POLYGON]))
    write_picture(tmp_path / "images" / "b.jpg")
    assert any(
        "1 pictures are not annotated and are left out ('images/b.jpg')" in n
        for n in source(tmp_path).remarks
    )


def test_names_that_may_be_several_pictures(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_picture(tmp_path / folder / "a.jpg")
    write_json(tmp_path / "result.json", coco(["a.jpg"], [POLYGON]))
    with pytest.raises(ValueError, match="'a.jpg' may be any of several pictures"):
        source(tmp_path)
    write_json(tmp_path / "result.json", coco(["one/a.jpg", "two/a.jpg"], [POLYGON]))
    assert [*masks(tmp_path)] == ["one_a", "two_a"]


def test_the_report_counts(tmp_path: Path) -> None:
    write(tmp_path, coco(["a.jpg", "b.jpg"], [POLYGON], [(1, "cat"), (2, "dog")]))
    report = check_export(tmp_path, "coco")
    assert report.splits[0].values[1] == 64 and report.splits[0].num_pairs == 2
    assert "read as COCO: 2 pictures, 1 shapes, 1 pictures without a shape" in report.notes[0]
    assert "class 2 'dog' has no pixel" in report.problems[0]


def panoptic(root: Path, ids: np.ndarray, segments: list[dict[str, Any]]) -> None:
    write_picture(root / "val2017" / "1.jpg")
    colors = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    folder = root / "annotations" / "panoptic_val2017"
    folder.mkdir(parents=True)
    Image.fromarray(colors).save(folder / "1.png")
    content = coco(["1.jpg"], [], [(1, "cat"), (200, "rug")])
    content["annotations"] = [{"image_id": 1, "file_name": "1.png", "segments_info": segments}]
    write_json(root / "annotations" / "panoptic_val2017.json", content)


def test_panoptic(tmp_path: Path) -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.int64)
    ids[:5], ids[5:9], ids[9:12] = 70000, 258, 3
    panoptic(tmp_path, ids, [
        {"id": 70000, "category_id": 200, "iscrowd": 0}, {"id": 258, "category_id": 1, "iscrowd": 0},
        {"id": 3, "category_id": 1, "iscrowd": 1},
    ])  # fmt: skip
    found = source(tmp_path)
    assert found.export.tool == "COCO panoptic" and found.labels.names == ("cat", "rug")
    mask = masks(tmp_path, "val")["1"]
    assert (mask[:5] == 1).all() and (mask[5:9] == 0).all() and (mask[9:] == 255).all()
    assert found.open("val").classes_of(0) == {0, 1}


def test_a_background_of_several_spellings_is_one_class(tmp_path: Path) -> None:
    shapes = [{**POLYGON, "category_id": category} for category in (3, 2)]
    write(tmp_path, coco(["a.jpg"], shapes[:1], [(1, "background"), (2, "cat"), (3, "_Background_")]))
    assert source(tmp_path).labels.names == ("background", "cat")
    assert (masks(tmp_path)["a"] == 0).all() and check_export(tmp_path, "coco").splits[0].num_pairs == 1
    given = tmp_path / "classes.txt"
    given.write_text("Background\ncat\n")
    assert source(tmp_path, classes=str(given)).open(None).classes_of(0) == {0}


def test_a_category_background_of_panoptic_is_a_class(tmp_path: Path) -> None:
    panoptic(tmp_path, np.full((HEIGHT, WIDTH), 5), [{"id": 5, "category_id": 1}])
    path = tmp_path / "annotations" / "panoptic_val2017.json"
    content = json.loads(path.read_text())
    content["categories"][0]["name"] = "background"
    write_json(path, content)
    assert "background" in source(tmp_path).labels.names and (masks(tmp_path, "val")["1"] == 0).all()


def test_panoptic_ids_of_no_segment(tmp_path: Path) -> None:
    panoptic(tmp_path, np.full((HEIGHT, WIDTH), 5), [{"id": 6, "category_id": 1}])
    with pytest.raises(ValueError, match=r"1.png holds the id 5 of no segment"):
        masks(tmp_path, "val")


def test_panoptic_without_its_masks(tmp_path: Path) -> None:
    panoptic(tmp_path, np.full((HEIGHT, WIDTH), 5), [{"id": 5, "category_id": 1}])
    (tmp_path / "annotations" / "panoptic_val2017" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"masks '1.png' of .* are not below"):
        source(tmp_path)
