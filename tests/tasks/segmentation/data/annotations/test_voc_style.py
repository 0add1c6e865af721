"""Folders of VOC: CVAT's "Segmentation mask", labelme's converter, and VOC itself."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation_exports import HEIGHT, WIDTH, masks, source, square, write_picture, write_text
from subquad.tasks.segmentation.data.colors import voc_palette
from subquad.tasks.segmentation.data.published import published_labels

RED, LABELMAP = (250, 50, 83), "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n"


def painted(mask: np.ndarray, color: tuple[int, int, int] = RED) -> np.ndarray:
    return np.where(mask[..., None] > 0, color, 0).astype(np.uint8)


def save(path: Path, pixels: np.ndarray, palette: object = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if palette is not None:
        picture.putpalette(np.array(palette, np.uint8).ravel().tolist())
    picture.save(path)


def cvat(root: Path, names: tuple[str, ...] = ("a", "sub/b ü")) -> None:
    write_text(root / "labelmap.txt", LABELMAP, mark=True)
    write_text(root / "ImageSets/Segmentation/default.txt", "\n".join([*names, "empty", ""]))
    for name in (*names, "empty"):
        write_picture(root / f"JPEGImages/{name}.jpg")
    for name in names:
        save(root / f"SegmentationClass/{name}.png", painted(square()))
        save(root / f"SegmentationObject/{name}.png", painted(square(), (9, 9, 9)))


def test_cvat_writes_no_mask_of_an_empty_picture(tmp_path: Path) -> None:
    cvat(tmp_path)
    found = source(tmp_path)
    assert found.labels.names == ("background", "cat") and found.labels.palette == ((0, 0, 0), RED)
    assert found.splits == [None] and "1 pictures without a shape" in found.remarks[0]
    result = masks(tmp_path)
    assert [*result] == ["a", "b ü", "empty"] and not result["empty"].any()
    assert (result["a"] == square()).all() and (result["b ü"] == square()).all()
    assert (masks(tmp_path, name="cvat")["a"] == square()).all()
    assert found.open(None).classes_of(0) == {0, 1}


def test_colours_tell_the_class_where_a_table_has_another_order(tmp_path: Path) -> None:
    cvat(tmp_path, ("a",))
    save(tmp_path / "SegmentationClass/a.png", 3 * square(), [(0, 0, 0), (1, 1, 1), (2, 2, 2), RED])
    assert (masks(tmp_path)["a"] == square()).all()
    save(tmp_path / "SegmentationClass/a.png", 2 * square(), [(0, 0, 0), (1, 1, 1), (2, 2, 2), RED])
    with pytest.raises(ValueError, match=r"a.png: the colour \(2, 2, 2\) .* belongs to no class"):
        masks(tmp_path)


def test_cvat_without_pictures(tmp_path: Path) -> None:
    cvat(tmp_path, ("a",))
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(
        ValueError, match=r"'a' have no picture in .*JPEGImages; add them \(export with pictures\)"
    ):
        source(tmp_path)


@pytest.mark.parametrize("kind", ["table", "colours"])
def test_voc(tmp_path: Path, kind: str) -> None:
    base, table = tmp_path / "VOCdevkit" / "VOC2012", voc_palette()
    for split, name in (("train", "a"), ("val", "b"), ("trainval", "a\nb")):
        write_text(base / f"ImageSets/Segmentation/{split}.txt", f"{name}\n")
    mask = square(8)
    mask[0] = 255
    for name in ("a", "b"):
        write_picture(base / f"JPEGImages/{name}.jpg")
        pixels = mask if kind == "table" else np.array(table, np.uint8)[mask]
        save(base / f"SegmentationClass/{name}.png", pixels, table if kind == "table" else None)
    found = source(tmp_path)
    assert found.splits == ["train", "val"] and found.labels.names == published_labels("voc").names
    assert (masks(tmp_path, "val")["b"] == mask).all()


def test_the_converter_of_labelme(tmp_path: Path) -> None:
    write_text(tmp_path / "class_names.txt", "_background_\ncat")
    write_picture(tmp_path / "JPEGImages/a.jpg")
    save(tmp_path / "SegmentationClass/a.png", square(), voc_palette())
    save(tmp_path / "SegmentationClassVisualization/a.jpg", painted(square()))
    assert source(tmp_path).labels.names == ("_background_", "cat")
    assert (masks(tmp_path)["a"] == square()).all()


def test_arrays_of_the_converter_of_labelme(tmp_path: Path) -> None:
    write_text(tmp_path / "class_names.txt", "_background_\ncat")
    write_picture(tmp_path / "JPEGImages/a.jpg")
    (tmp_path / "SegmentationClass").mkdir()
    mask = square().astype(np.int32)
    mask[0] = -1
    np.save(tmp_path / "SegmentationClass/a.npy", mask)
    found = masks(tmp_path)["a"]
    assert (found[0] == 255).all() and (found[1:] == square()[1:]).all()


def test_a_mask_without_a_picture_and_a_picture_without_a_mask(tmp_path: Path) -> None:
    write_picture(tmp_path / "JPEGImages/a.jpg")
    for name in ("a", "lost"):
        save(tmp_path / f"SegmentationClass/{name}.png", square())
    with pytest.raises(ValueError, match="'lost' have no picture"):
        source(tmp_path)
    write_text(tmp_path / "ImageSets/Segmentation/train.txt", "a\n")
    with pytest.raises(ValueError, match="masks 'lost' of .* have no picture"):
        source(tmp_path)
    (tmp_path / "SegmentationClass/lost.png").unlink()
    write_text(tmp_path / "ImageSets/Segmentation/train.txt", "a\nno/../../mask\n")
    with pytest.raises(ValueError, match="'no/../../mask' have no picture"):
        source(tmp_path)


def test_own_classes(tmp_path: Path) -> None:
    write_picture(tmp_path / "JPEGImages/a.jpg")
    save(tmp_path / "SegmentationClass/a.png", square())
    (tmp_path / "own.txt").write_text("ground\nhouse\n")
    assert source(tmp_path, classes=str(tmp_path / "own.txt")).labels.names == ("ground", "house")
    assert masks(tmp_path)["a"].size == HEIGHT * WIDTH


@pytest.mark.parametrize("text", ["", "cat:1,2,3::\ncat:2,2,2::\n", "cat:1,2,999::\n"])
def test_a_labelmap_that_names_no_classes(tmp_path: Path, text: str) -> None:
    cvat(tmp_path)
    write_text(tmp_path / "labelmap.txt", text)
    with pytest.raises(ValueError, match="cannot read the classes from .*labelmap.txt"):
        source(tmp_path)
