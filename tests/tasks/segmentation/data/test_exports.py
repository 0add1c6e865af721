"""Exports of annotation tools are told from data sets, with the way to lay them out."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from subquad.tasks.segmentation.data.annotations.recognise import recognise
from subquad.tasks.segmentation.data.check import check_folder
from subquad.tasks.segmentation.data.exports import layout_hint
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.layouts import published_at
from subquad.tasks.segmentation.data.published_sets import open_published

Save = Callable[[str, NDArray], Path]
PIXELS = np.zeros((2, 2), np.uint8)

UNREAD = {
    "Supervisely": ("ds/ann/a.png.json", '{"description": "", "objects": [], "size": {"height": 2}}'),
    "Pascal VOC (boxes)": ("annotations/a.xml", '<?xml version="1.0"?>\n<annotation></annotation>'),
    "VGG Image Annotator": ("via_region_data.json", '{"a.jpg1": {"filename": "a.jpg", "regions": []}}'),
}
READ = {
    "labelme": ("images/a.json", '{"version": "5.0", "flags": {}, "shapes": [], "imagePath": "a.jpg"}'),
    "COCO": ("annotations/instances.json", '{"info": {}, "images": [], "annotations": [], "categories": []}'),
    "Label Studio": ("project-1.json", '[{"id": 1, "annotations": [{"result": [], "from_name": "x"}]}]'),
    "YOLO": ("labels/a.txt", "0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n"),
    "CVAT": ("annotations.xml", '<?xml version="1.0"?>\n<annotations></annotations>'),
}


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("tool", UNREAD)
def test_outlines_that_are_not_read_are_told_by_their_tool(save: Save, tmp_path: Path, tool: str) -> None:
    save("images/a.png", PIXELS)
    path = write(tmp_path, *UNREAD[tool])
    hint = layout_hint(tmp_path)
    assert f"{path} holds outlines or boxes as {tool} exports them" in hint
    assert any(hint == problem for problem in check_folder(tmp_path, num_classes=2).problems)
    with pytest.raises((FileNotFoundError, ValueError), match="let the tool export COCO, or masks"):
        SegmentationFolder(tmp_path, num_classes=2)


@pytest.mark.parametrize("tool", READ)
def test_a_folder_of_masks_sends_those_of_other_tools_on(save: Save, tmp_path: Path, tool: str) -> None:
    save("images/a.png", PIXELS)
    path = write(tmp_path, *READ[tool])
    assert f"{path} is of {tool}, which the commands read as it is" in layout_hint(tmp_path)
    with pytest.raises((FileNotFoundError, ValueError), match="open_source"):
        SegmentationFolder(tmp_path, num_classes=2)


def test_masks_beside_their_pictures(save: Save, tmp_path: Path) -> None:
    save("train/a.jpg", PIXELS)
    save("train/a_mask.png", PIXELS)
    with pytest.raises(FileNotFoundError, match=r"train holds masks beside .*'a_mask.png'.*folder images"):
        check_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="masks beside"):
        SegmentationFolder(tmp_path, num_classes=2)


def test_cvat_in_the_folders_of_voc_is_no_published_set(save: Save, tmp_path: Path) -> None:
    save("JPEGImages/a.jpg", PIXELS)
    save("SegmentationClass/a.png", np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroof:250,50,83::\n"
    )
    assert published_at(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="is of CVAT, which the commands read as it is"):
        check_folder(tmp_path)
    with pytest.raises(ValueError, match="as CVAT exports them"):
        open_published("voc", tmp_path, "default")


def test_a_good_data_set_is_no_export(save: Save, tmp_path: Path) -> None:
    save("images/a.png", PIXELS)
    save("labels/a.png", PIXELS)
    (tmp_path / "classes.json").write_text(json.dumps({"classes": ["a", "b"]}))
    (tmp_path / "notes.txt").write_text("10 pictures\n")
    (tmp_path / "labels" / "loop").symlink_to(tmp_path)
    assert layout_hint(tmp_path) == ""


def test_masks_of_single_classes(save: Save, tmp_path: Path) -> None:
    save("images/a.png", PIXELS)
    save("masks/task-1-annotation-2-by-1-tag-roof-0.png", PIXELS)
    assert "is of Label Studio" in layout_hint(tmp_path)
    assert layout_hint(tmp_path) in check_folder(tmp_path, num_classes=2).problems


@pytest.mark.parametrize("name", ["a.json", "a.xml", "a.txt", "data.yaml"])
def test_pipes_and_folders_in_the_place_of_files_are_passed_over(tmp_path: Path, name: str) -> None:
    """Opening a pipe that nobody writes to would block for ever."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / name).mkdir()
    os.mkfifo(tmp_path / name)
    (tmp_path / "z.json").write_text('{"images": [], "annotations": []}')
    previous = signal.signal(signal.SIGALRM, _blocked)
    signal.setitimer(signal.ITIMER_REAL, 10)
    try:
        assert recognise(tmp_path) == "coco"
        assert "COCO" in layout_hint(tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _blocked(*_: object) -> None:
    raise AssertionError("a pipe was opened")
