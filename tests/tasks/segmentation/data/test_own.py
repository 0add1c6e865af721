"""Data of one's own: what is told from the files, and one folder without splits."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from annotation_exports import SQUARE, coco, flat, square, write_json, write_picture, write_text
from subquad.data.fingerprint import fingerprint
from subquad.tasks.segmentation.data.opening import build_data, refuse_folder_options, train_transform
from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.own import open_own
from subquad.tasks.segmentation.data.sources import format_of, open_source
from subquad.tasks.segmentation.data.split import Split
from subquad.tasks.segmentation.network import ModelOptions, resolve

POLYGON = {"segmentation": [flat(SQUARE)]}


def write_export(root: Path, count: int = 10) -> Path:
    names = [f"p{n}.jpg" for n in range(count)]
    for name in names:
        write_picture(root / "images" / name)
    annotations = [{**POLYGON, "image_id": n + 1, "category_id": 1 + (n == 3)} for n in range(count)]
    content = coco(names, annotations, [(1, "cat"), (2, "dog")])
    write_json(root / "annotations" / "instances_default.json", content)
    return root


def test_masks_come_before_outlines(save_pair: Callable[..., None], tmp_path: Path) -> None:
    write_export(tmp_path)
    assert format_of(tmp_path) == "coco"
    assert format_of(tmp_path, masks="masks") == "folder"  # who names a folder means it
    for n in range(10):
        save_pair(f"p{n}", square(), masks="masks")
    assert format_of(tmp_path) == "folder"
    assert format_of(tmp_path / "images") == "folder"  # nothing that is known


def test_one_folder_is_divided_by_the_seed(tmp_path: Path) -> None:
    root = write_export(tmp_path)
    options = DataOptions(root=str(root))
    opened = open_own(options, 5)
    assert opened.split is not None and opened.train is not None
    assert (len(opened.train), len(opened.evaluation)) == (8, 2)
    names = [opened.evaluation[n].name for n in range(2)]
    assert names == [*opened.split.val] and "p3" in opened.split.train  # alone it shows a dog
    assert f"{root} has no split for evaluation: the seed 5 draws 2 of 10 pictures" in opened.remarks[-1]
    assert fingerprint(opened.train) == fingerprint(open_own(options, 5).train)
    assert fingerprint(opened.train) != fingerprint(open_own(options, 6).train)


def test_folders_of_masks_without_evaluation(save_pair: Callable[..., None], tmp_path: Path) -> None:
    for n in range(5):
        save_pair(f"p{n}", split="flat")
        save_pair(f"p{n}", split="one/train")
    for name in ("flat", "one"):
        opened = open_own(DataOptions(root=str(tmp_path / name), num_classes=2), 0)
        assert opened.train is not None and (len(opened.train), len(opened.evaluation)) == (4, 1)
    with pytest.raises(FileNotFoundError, match="no split 'test'"):
        open_own(DataOptions(root=str(tmp_path / "one"), num_classes=2, evaluation="test"), 0)


def test_splits_that_are_there_are_kept(save_pair: Callable[..., None], tmp_path: Path) -> None:
    for split in ("train", "val"):
        save_pair("a", split=split)
    options = DataOptions(root=str(tmp_path), num_classes=2)
    assert open_own(options, 0).split is None
    options.split = str(tmp_path / "split.json")
    with pytest.raises(ValueError, match="has the splits train, val; leave --data.split out"):
        open_own(options, 0)


def test_training_and_evaluation_on_all_is_asked_for(save_pair: Callable[..., None], tmp_path: Path) -> None:
    for n in range(3):
        save_pair(f"p{n}")
    opened = open_own(DataOptions(root=str(tmp_path), num_classes=2, evaluation="train"), 0)
    assert opened.train is not None and len(opened.train) == len(opened.evaluation) == 3


def test_a_split_may_be_given(tmp_path: Path) -> None:
    root = write_export(tmp_path / "data")
    Split(None, ("p0", "p1", "p3"), ("p2",)).write(tmp_path / "x.json")
    options = DataOptions(root=str(root), split=str(tmp_path / "x.json"))
    opened = open_own(options, 0)
    assert opened.train is not None and (len(opened.train), len(opened.evaluation)) == (3, 1)
    assert "x.json names 1 of 4 pictures for it; 6 pictures are in neither" in opened.remarks[-1]
    (root / "images" / "p2.jpg").unlink()
    content = coco(["p0.jpg", "p1.jpg"], [POLYGON])
    write_json(root / "annotations" / "instances_default.json", content)
    with pytest.raises(ValueError, match=r"2 of the 4 pictures of the split are not in .* \('p3', 'p2'\)"):
        open_own(options, 0)


def test_evaluation_alone_divides_nothing_anew(tmp_path: Path) -> None:
    root = write_export(tmp_path / "data")
    options = DataOptions(root=str(root))
    with pytest.raises(FileNotFoundError, match=r"give --data.split FILE \(split.json of the run\)"):
        open_own(options, 0, training=False)
    kept = tmp_path / "split.json"
    Split(0, ("p0", "p1"), ("p2",)).write(kept)
    assert len(open_own(options, 0, training=False, kept=kept).evaluation) == 1
    options.evaluation = "train"
    assert len(open_own(options, 0, training=False, kept=kept).evaluation) == 2
    Split(0, ("x",), ("y",)).write(kept)  # of a run on other data: all of these
    assert len(open_own(options, 0, training=False, kept=kept).evaluation) == 10


def test_bands_follow_from_the_data(tmp_path: Path) -> None:
    write_text(tmp_path / "classes.txt", "a\nb\n")
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (tmp_path / split / kind).mkdir(parents=True)
        for n in range(3):
            pixels = np.random.default_rng(n).integers(0, 65535, (5, 8, 8), np.uint16)
            options: Any = {"photometric": "minisblack", "planarconfig": "separate"}
            tifffile.imwrite(tmp_path / split / "images" / f"{n}.tif", pixels, **options)
            tifffile.imwrite(tmp_path / split / "masks" / f"{n}.tif", (pixels[0] > 30000).astype(np.uint16))
    data = build_data(DataOptions(root=str(tmp_path), batch_size=2, crop=(16, 6)), 0)
    assert data.bands == 5
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (2, 5, 16, 6) and (batch["image"][:, :, 8:] == 128).all()
    assert resolve(ModelOptions(), data.labels, data.bands).in_channels == 5
    with pytest.raises(ValueError, match="--model.in_channels 3, but the pictures have 5 bands"):
        resolve(ModelOptions(in_channels=3), data.labels, data.bands)
    with pytest.raises(ValueError, match="--data.hue changes red, green and blue, but the pictures have 5"):
        train_transform(DataOptions(hue=0.1), 5)
    with pytest.raises(ValueError, match="is a TIFF of 5 bands, and 4 are read"):
        open_source(DataOptions(root=str(tmp_path), bands=4)).open("val")[0]


def test_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give --data.root PATH"):
        open_source(DataOptions())
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        open_source(DataOptions(root=str(tmp_path / "none")))
    shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path)
    with pytest.raises(FileNotFoundError, match="is packed: unpack it"):
        open_source(DataOptions(root=str(tmp_path / "export.zip")))
    with pytest.raises(FileNotFoundError, match="holds no file that CVAT wrote"):
        open_source(DataOptions("cvat", str(tmp_path)))
    with pytest.raises(ValueError, match="coco tells where its pictures are"):
        refuse_folder_options(DataOptions("coco", masks="x"))


def test_a_split_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    root = write_export(tmp_path)
    with pytest.raises(FileNotFoundError, match="has no split 'test': COCO names None"):
        open_source(DataOptions(root=str(root))).open("test")
