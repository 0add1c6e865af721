from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from subquad.tasks.segmentation.data.check import check_folder
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.labels import LabelSet, SegmentationDataset

Save = Callable[[str, NDArray], Path]
SavePair = Callable[..., None]


def test_samples_of_a_split(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("b", split="train")
    save_pair("a", np.array([[1, 255]], dtype=np.uint8), split="train")
    save_pair("c", split="val")
    data: SegmentationDataset = SegmentationFolder(tmp_path, num_classes=2)
    assert len(data) == 2 and data.labels == LabelSet.generic(2)
    image, labels, name = data[0]
    assert name == "a" and labels.tolist() == [[1, 255]]
    assert image.shape == (3, 1, 2) and image.dtype == labels.dtype == torch.uint8
    assert [data[index].name for index in range(2)] == ["a", "b"]
    assert SegmentationFolder(tmp_path, "val", num_classes=2)[-1].name == "c"
    with pytest.raises(IndexError):
        data[2]


@pytest.mark.parametrize("masks", ["labels", "masks", "annotations"])
@pytest.mark.parametrize(
    "images, masks_dir, split",
    [
        ("train/images", "train/{}", "train"),
        ("images/train", "{}/train", "train"),
        ("images", "{}", "train"),
        ("images", "{}", None),
    ],
)
def test_layouts(
    save: Save, tmp_path: Path, masks: str, images: str, masks_dir: str, split: str | None
) -> None:
    save(f"{images}/a.png", np.zeros((2, 3, 3), dtype=np.uint8))
    save(f"{masks_dir.format(masks)}/a.png", np.ones((2, 3), dtype=np.uint8))
    assert SegmentationFolder(tmp_path, split, num_classes=2)[0].labels.sum() == 6


def test_own_folder_names(save: Save, tmp_path: Path) -> None:
    save("train/rgb/a.png", np.zeros((2, 3, 3), dtype=np.uint8))
    save("train/ids/a.png", np.ones((2, 3), dtype=np.uint8))
    data = SegmentationFolder(tmp_path, num_classes=2, images="rgb", masks="ids")
    assert data[0].labels.sum() == 6


def test_a_folder_without_splits_is_no_validation_set(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a")
    with pytest.raises(FileNotFoundError, match=r"no split 'val': looked for .*val/images"):
        SegmentationFolder(tmp_path, "val", num_classes=2)


def test_missing_split_names_those_that_are_there(save_pair: SavePair, tmp_path: Path) -> None:
    for split in ("extra", "val", "train"):
        save_pair("a", split=split)
    with pytest.raises(FileNotFoundError, match=r"no split 'test'.*: train, val, extra\."):
        SegmentationFolder(tmp_path, "test", num_classes=2)


def test_classes_come_from_the_file_of_the_folder(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a")
    (tmp_path / "classes.txt").write_text("road\nsky\ncar\n")
    assert SegmentationFolder(tmp_path).labels.names == ("road", "sky", "car")
    (tmp_path / "classes.txt").rename(tmp_path / "others.txt")
    (tmp_path / "classes.json").write_text('{"classes": ["cat", "dog"]}')
    assert SegmentationFolder(tmp_path).labels.names == ("cat", "dog")
    assert SegmentationFolder(tmp_path, num_classes=2).labels.names == ("cat", "dog")
    other = SegmentationFolder(tmp_path, classes=tmp_path / "others.txt")
    assert other.labels.names == ("road", "sky", "car")
    given = LabelSet.generic(4)
    assert SegmentationFolder(tmp_path, classes=given).labels is given
    with pytest.raises(ValueError, match=r"num_classes=5, but .*classes.json names 2 classes"):
        SegmentationFolder(tmp_path, num_classes=5)


def test_unknown_classes_say_what_to_do(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a")
    with pytest.raises(ValueError, match=r"put a classes.json there, or give the number"):
        SegmentationFolder(tmp_path)


@pytest.mark.parametrize("look", [lambda root: SegmentationFolder(root, num_classes=3), check_folder])
def test_pictures_without_masks_and_pictures_beside_them_are_told_apart(
    look: Callable[[Path], object], save_pair: SavePair, tmp_path: Path
) -> None:
    save_pair("a")
    (tmp_path / "images" / "a.png").rename(tmp_path / "a.png")
    (tmp_path / "images").rmdir()
    with pytest.raises(FileNotFoundError, match="holds 1 pictures beside its labels; put them into .*images"):
        look(tmp_path)
    (tmp_path / "labels" / "a.png").unlink()
    (tmp_path / "labels").rmdir()
    with pytest.raises(
        FileNotFoundError, match="holds 1 pictures, and neither masks nor annotations of them"
    ):
        look(tmp_path)


def test_a_stray_picture_in_the_root_hides_no_other_trouble(save_pair: SavePair, tmp_path: Path) -> None:
    save_pair("a")
    (tmp_path / "labels" / "a.png").rename(tmp_path / "preview.png")
    with pytest.raises((FileNotFoundError, ValueError)) as raised:
        SegmentationFolder(tmp_path, num_classes=3)
    assert "beside its labels" not in str(raised.value)


def test_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        SegmentationFolder(tmp_path / "nowhere", num_classes=2)


def test_different_sizes_are_quoted(save: Save, tmp_path: Path) -> None:
    save("images/a.png", np.zeros((4, 6, 3), dtype=np.uint8))
    save("labels/a.png", np.zeros((6, 4), dtype=np.uint8))
    data = SegmentationFolder(tmp_path, num_classes=1)
    with pytest.raises(ValueError, match=r"images/a.png is 4 x 6, but mask .*labels/a.png is 6 x 4"):
        data[0]


def test_loads_in_other_processes(save_pair: SavePair, tmp_path: Path) -> None:
    for name in "abcd":
        save_pair(name)
    data = SegmentationFolder(tmp_path, num_classes=2)
    loader = DataLoader(data, batch_size=2, num_workers=1, multiprocessing_context="fork")
    batches = list(loader)
    assert [name for _, _, names in batches for name in names] == list("abcd")
    assert torch.equal(batches[1][0][0], data[2].image)
