"""Which files belong together, and what is named because it belongs to nothing."""

from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from numpy.typing import NDArray

from subquad.data.picture_files import image_files, left_out
from subquad.tasks.segmentation.data.check import check_folder
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.pairs import match_pairs, paired

Save = Callable[[str, NDArray], Path]
PIXELS = np.zeros((1, 1), np.uint8)


@pytest.mark.parametrize("ending", ["_mask", "-mask", "_label", "_seg", "_gt", "_Mask"])
def test_masks_may_have_an_ending(save: Save, tmp_path: Path, ending: str) -> None:
    for name in ("images/a.jpg", "images/b.png", f"masks/a{ending}.png", f"masks/b{ending}.png"):
        save(name, PIXELS)
    pairs = paired(tmp_path / "images", tmp_path / "masks")
    assert [(image.name, mask.name) for image, mask in pairs] == [
        ("a.jpg", f"a{ending}.png"),
        ("b.png", f"b{ending}.png"),
    ]


def test_an_ending_is_part_of_the_name_where_both_have_it(save: Save, tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        for name in ("a", "a_mask"):
            save(f"{folder}/{name}.png", PIXELS)
    pairs = paired(tmp_path / "images", tmp_path / "masks")
    assert [image.name for image, _ in pairs] == [mask.name for _, mask in pairs] == ["a.png", "a_mask.png"]


def test_two_masks_of_one_picture_are_not_chosen_from(save: Save, tmp_path: Path) -> None:
    for name in ("images/a.png", "masks/a_mask.png", "masks/a_seg.png"):
        save(name, PIXELS)
    pairs, problems = match_pairs(tmp_path / "images", tmp_path / "masks")
    assert [mask.name for _, mask in pairs] == ["a_mask.png"]
    assert len(problems) == 1 and "'a_seg' of" in problems[0]


def test_hidden_names_are_no_pictures(save: Save, tmp_path: Path) -> None:
    for name in ("a.png", "b.BMP", "c.tif", "d.TIFF", "._a.png", ".trash.png"):
        save(name, PIXELS) if not name.startswith(".") else (tmp_path / name).write_bytes(b"\0")
    assert [path.name for path in image_files(tmp_path)] == ["a.png", "b.BMP", "c.tif", "d.TIFF"]
    assert left_out(tmp_path) == []


def test_texts_are_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"GIF89a")
    monkeypatch.setattr("subquad.data.picture_files.head_of", lambda path: pytest.fail(f"{path} was opened"))
    assert left_out(tmp_path) == []


def test_a_folder_without_pictures_says_what_it_holds(save: Save, tmp_path: Path) -> None:
    save("images/city/a.png", PIXELS)
    save("images/b.gif", PIXELS)
    with pytest.raises(FileNotFoundError, match=r"put the pictures there\. 'b.gif' of .* folders 'city'"):
        paired(tmp_path / "images", tmp_path / "images")


def test_the_folder_that_holds_pictures_has_the_masks(save: Save, tmp_path: Path) -> None:
    save("train/images/a.png", np.zeros((2, 2, 3), np.uint8))
    save("train/masks/a.png", np.ones((2, 2), np.uint8))
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    data = SegmentationFolder(tmp_path, num_classes=2)
    assert data[0].labels.sum() == 4 and data.remarks == ()
    save("train/labels/a.png", np.zeros((2, 2), np.uint8))
    (remark,) = SegmentationFolder(tmp_path, num_classes=2).remarks
    assert "masks' holds pictures, too" in remark
    named = SegmentationFolder(tmp_path, num_classes=2, masks="masks")
    assert named[0].labels.sum() == 4 and named.remarks == ()


def test_pictures_beyond_the_limit_are_refused(save: Save, tmp_path: Path) -> None:
    save("images/a.png", np.zeros((2, 2, 3), np.uint8))
    save("labels/a.png", np.ones((2, 2), np.uint8))
    with pytest.raises(ValueError, match="4 pixels and more than the 3"):
        SegmentationFolder(tmp_path, num_classes=2, max_pixels=3)[0]
    assert SegmentationFolder(tmp_path, num_classes=2, max_pixels=4)[0].labels.sum() == 4


def test_splits_that_hold_only_what_is_left_out_are_seen(save: Save, tmp_path: Path) -> None:
    for split in ("train", "val", "__MACOSX", ".git"):
        suffix = "gif" if split == "val" else "png"
        save(f"{split}/images/a.{suffix}", np.zeros((1, 2, 3), np.uint8))
        save(f"{split}/labels/a.png", np.array([[0, 1]], np.uint8))
    report = check_folder(tmp_path, num_classes=2)
    assert [split.name for split in report.splits] == ["train", "val"]
    assert any("'a.gif' of" in problem and problem.startswith("val: ") for problem in report.problems)
    with pytest.raises(FileNotFoundError, match="'a.gif' of"):
        SegmentationFolder(tmp_path, "val", num_classes=2)


def test_both_spellings_of_an_accent_are_one_name(save: Save, tmp_path: Path) -> None:
    """Of macOS, the name of a file has a letter and an accent; keyboards write one character."""
    save(f"images/{normalize('NFD', 'café')}.png", PIXELS)
    save(f"masks/{normalize('NFC', 'café')}_mask.png", PIXELS)
    assert len(paired(tmp_path / "images", tmp_path / "masks")) == 1


def test_masks_may_have_the_suffix_of_the_picture_too(save: Save, tmp_path: Path) -> None:
    for name in ("images/a.jpg", "images/b.v2.png", "masks/a.jpg.png", "masks/b.v2.png"):
        save(name, PIXELS)
    pairs = paired(tmp_path / "images", tmp_path / "masks")
    assert [mask.name for _, mask in pairs] == ["a.jpg.png", "b.v2.png"]


def test_a_mask_with_and_one_without_an_ending(save: Save, tmp_path: Path) -> None:
    for name in ("images/a.png", "labels/a.png", "labels/a_mask.png"):
        save(name, PIXELS)
    with pytest.raises(ValueError, match=r"'a', 'a_mask' of .* are both masks of 'a.png'; keep one") as error:
        SegmentationFolder(tmp_path, None, num_classes=2)
    assert "Roboflow" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"masks": "images"}, "both to be taken from 'images'"),
        ({"masks": "/tmp"}, "'/tmp' names no folder in the data set"),
        ({"images": "../images"}, "'../images' names no folder"),
        ({"masks": ""}, "'' names no folder"),
    ],
)
def test_names_that_are_no_folders_of_the_set(save: Save, tmp_path: Path, options: dict, reason: str) -> None:
    save("images/a.png", PIXELS)
    save("labels/a.png", PIXELS)
    with pytest.raises(ValueError, match=reason):
        SegmentationFolder(tmp_path, None, num_classes=2, **options)
    with pytest.raises(ValueError, match=reason):
        check_folder(tmp_path, **options)
