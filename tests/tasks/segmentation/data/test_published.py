"""Published data sets: layouts, label conventions, and what is said when something is missing."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from published_layouts import NUM_CLASSES, STORED, paths, save, write_list, write_published
from subquad.tasks.segmentation.data.cityscapes import EVALUATED_IDS, Cityscapes
from subquad.tasks.segmentation.data.coco_stuff import UNUSED_IDS, COCOStuff
from subquad.tasks.segmentation.data.colors import voc_palette
from subquad.tasks.segmentation.data.pascal_context import PascalContext
from subquad.tasks.segmentation.data.published import published_labels
from subquad.tasks.segmentation.data.published_sets import PUBLISHED, open_published
from subquad.tasks.segmentation.data.voc import PascalVOC, voc_images, voc_training_split

HOMES = {
    "ade20k": "http://sceneparsing.csail.mit.edu",
    "voc": "http://host.robots.ox.ac.uk/pascal/VOC/voc2012",
    "pascal_context": "https://cs.stanford.edu/~roozbeh/pascal-context",
    "pascal_context_60": "https://cs.stanford.edu/~roozbeh/pascal-context",
    "cityscapes": "https://www.cityscapes-dataset.com",
    "coco_stuff": "https://github.com/nightrome/cocostuff",
}
SETS = pytest.mark.parametrize("name", PUBLISHED)


def stored_row(name: str, root: Path, values: list[int], raw: bool = False, dtype: type = np.uint8) -> None:
    """Replace the first training picture by one whose mask is a row of these values."""
    image, mask = paths(name, root, "train", 0, raw)
    save(image, np.zeros((1, len(values), 3), np.uint8))
    save(mask, np.array([values], dtype=dtype))


def first_labels(name: str, root: Path) -> list[int]:
    return open_published(name, root)[0].labels[0].tolist()


@SETS
def test_the_usual_layout(name: str, tmp_path: Path) -> None:
    root = write_published(name, tmp_path)
    train, val = open_published(name, root), open_published(name, root, "val")
    assert (len(train), len(val)) == (4, 2)
    assert train.labels.num_classes == NUM_CLASSES[name] == len(published_labels(name).names)
    names = [sample.name for sample in train] + [sample.name for sample in val]
    assert len(set(names)) == 6 and not any("leftImg8bit" in stem for stem in names)
    for sample in (*train, *val):
        assert sample.image.shape == (3, 48, 64) and sample.labels.shape == (48, 64)
        assert sample.image.dtype == sample.labels.dtype == torch.uint8
        assert set(sample.labels.unique().tolist()) <= {*range(NUM_CLASSES[name]), 255}
    with pytest.raises(IndexError):
        train[4]
    assert torch.equal(pickle.loads(pickle.dumps(train))[1].labels, train[1].labels)


@pytest.mark.parametrize(
    ("name", "raw", "stored", "labels"),
    [
        ("ade20k", False, [0, 1, 2, 150], [255, 0, 1, 149]),
        ("voc", False, [0, 1, 20, 255], [0, 1, 20, 255]),
        ("pascal_context", False, [0, 1, 59], [255, 0, 58]),
        ("pascal_context_60", False, [0, 1, 59], [0, 1, 59]),
        ("cityscapes", False, [0, 1, 18, 255], [0, 1, 18, 255]),
        ("cityscapes", True, [0, 6, 7, 8, 9, 11, 23, 29, 31, 33], [255, 255, 0, 1, 255, 2, 10, 255, 16, 18]),
        ("coco_stuff", False, [0, 11, 170, 255], [0, 11, 170, 255]),
        ("coco_stuff", True, [0, 10, 12, 89, 91, 181, 255], [0, 10, 11, 79, 80, 170, 255]),
    ],
)
def test_what_stored_values_mean(
    name: str, raw: bool, stored: list[int], labels: list[int], tmp_path: Path
) -> None:
    root = write_published(name, tmp_path, raw=raw)
    stored_row(name, root, stored, raw)
    assert first_labels(name, root) == labels


@pytest.mark.parametrize(("name", "raw"), [*((name, False) for name in STORED), ("coco_stuff", True)])
def test_every_class_can_occur_once(name: str, raw: bool, tmp_path: Path) -> None:
    root = write_published(name, tmp_path, raw=raw, size=(128, 128))
    labels = open_published(name, root)[0].labels.unique().tolist()
    ignored = [] if name == "pascal_context_60" else [255]
    assert labels == [*range(NUM_CLASSES[name]), *ignored]


def test_ids_of_cityscapes_and_coco() -> None:
    assert len(EVALUATED_IDS) == 19 and len(UNUSED_IDS) == 182 - 171


@pytest.mark.parametrize(
    ("name", "places"),
    [
        # Known places of the usual orders, told by the sets' own descriptions.
        ("ade20k", {0: "wall", 12: "person", 20: "car", 107: "washer", 148: "clock", 149: "flag"}),
        ("voc", {0: "background", 1: "aeroplane", 15: "person", 20: "tvmonitor"}),
        ("pascal_context", {0: "aeroplane", 36: "person", 58: "wood"}),
        ("pascal_context_60", {0: "background", 1: "aeroplane", 59: "wood"}),
        ("cityscapes", {0: "road", 10: "sky", 13: "car", 18: "bicycle"}),
        ("coco_stuff", {0: "person", 79: "toothbrush", 80: "banner", 170: "wood"}),
    ],
)
def test_order_of_classes(name: str, places: dict[int, str]) -> None:
    names = published_labels(name).names
    assert {index: names[index] for index in places} == places
    # Everything after people is alphabetical where the set says so.
    if name in ("voc", "pascal_context", "pascal_context_60"):
        assert list(names[1:]) == sorted(names[1:])
    if name == "coco_stuff":
        assert list(names[80:]) == sorted(names[80:])


def test_colors() -> None:
    assert published_labels("voc").palette == voc_palette(21)
    assert published_labels("pascal_context").palette == published_labels("pascal_context_60").palette[1:]
    assert published_labels("cityscapes").palette[13] == (0, 0, 142)
    assert published_labels("ade20k").palette[:2] == ((120, 120, 120), (180, 120, 120))


@SETS
def test_the_folder_above_and_the_folder_itself(name: str, tmp_path: Path) -> None:
    root = write_published(name, tmp_path)
    inside = [path for path in (root, *root.rglob("*")) if (path / "JPEGImages").is_dir()]
    inside += [root / "ADEChallengeData2016"] if name == "ade20k" else []
    for base in inside:
        assert len(open_published(name, base)) == 4


@SETS
def test_without_a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--data.root PATH.*{HOMES[name]}"):
        open_published(name, None)
    with pytest.raises(FileNotFoundError, match=f"no folder {tmp_path}/no; .*{HOMES[name]}"):
        open_published(name, tmp_path / "no")
    with pytest.raises(
        FileNotFoundError, match=f"usual layout: there is no folder {tmp_path}/.*{HOMES[name]}"
    ):
        open_published(name, tmp_path)


@SETS
def test_missing_masks_are_one_error(name: str, tmp_path: Path) -> None:
    root = write_published(name, tmp_path)
    missing = [paths(name, root, "train", index) for index in (2, 3)]
    for _, mask in missing:
        mask.unlink()
    with pytest.raises(FileNotFoundError, match="2 of 4 pictures of .* have no mask") as error:
        open_published(name, root)
    assert str(missing[0][0]) in str(error.value) and str(missing[0][1]) in str(error.value)
    assert HOMES[name] in str(error.value) and str(missing[1][0]) not in str(error.value)
    assert len(open_published(name, root, "val")) == 2
    shutil.rmtree(missing[0][1].parent)
    with pytest.raises(FileNotFoundError, match="have no mask"):
        open_published(name, root)


@SETS
def test_missing_pictures(name: str, tmp_path: Path) -> None:
    root = write_published(name, tmp_path)
    folder = paths(name, root, "train", 0)[0].parent
    for index in range(4):
        paths(name, root, "train", index)[0].unlink()
    with pytest.raises(FileNotFoundError, match=HOMES[name]) as error:
        open_published(name, root)
    wanted = folder.parent if name == "cityscapes" else folder
    assert str(wanted) in str(error.value)


@SETS
def test_splits(name: str, tmp_path: Path) -> None:
    root = write_published(name, tmp_path)
    expected = FileNotFoundError if name == "voc" else ValueError
    with pytest.raises(expected, match="'sunday'|sunday.txt"):
        open_published(name, root, "sunday")
    with pytest.raises(ValueError, match="'test'|VOC 2012 test"):
        open_published(name, root, "test")


@SETS
def test_masks_of_other_kinds(name: str, tmp_path: Path) -> None:
    root = write_published(name, tmp_path)
    image, mask = paths(name, root, "train", 0)
    dataset = open_published(name, root)
    save(mask, np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ValueError, match=f"{mask} holds RGB colours.*class indices.*{HOMES[name]}"):
        dataset[0]
    save(mask, np.full((48, 64), 300, np.uint16))
    with pytest.raises(ValueError, match=r"\(16-bit\) holds 300 at row 0, column 0, but the masks of"):
        dataset[0]
    wrong = np.zeros((48, 64), np.uint8)
    wrong[3, 5] = 200
    save(mask, wrong)
    with pytest.raises(ValueError, match=r"\(8-bit\) holds 200 at row 3, column 5.*0\.\."):
        dataset[0]
    save(mask, np.ones((48, 64), np.uint16))
    small = open_published(name, root)[0].labels
    save(mask, np.ones((48, 64), np.uint8), palette=True)
    assert torch.equal(dataset[0].labels, small)  # the indices, not the colours
    save(mask, np.zeros((48, 60), np.uint8))
    with pytest.raises(ValueError, match="is 48 x 64, but mask .* is 48 x 60"):
        dataset[0]
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(ValueError, match="cannot be decoded"):
        dataset[0]
    assert image.exists()


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown data set 'imagenet'; there are ade20k, "):
        open_published("imagenet", tmp_path)
    with pytest.raises(ValueError, match="59 classes, or 60 with background, not 33"):
        PascalContext(tmp_path, "train", 33)  # pyright: ignore[reportArgumentType]


def voc_root(tmp_path: Path) -> Path:
    return write_published("voc", tmp_path) / "VOCdevkit" / "VOC2012"


def test_voc_training_is_augmented_where_it_can_be(tmp_path: Path) -> None:
    base = voc_root(tmp_path)
    assert [open_published("voc", base, split).split for split in ("train", "trainval")] == [
        "trainaug",
        "trainval",
    ]
    assert (len(PascalVOC(base, "train")), len(PascalVOC(base, "trainval"))) == (3, 5)
    lists = base / "ImageSets" / "Segmentation"
    (lists / "trainaug.txt").rename(tmp_path / "trainaug.txt")
    with pytest.raises(FileNotFoundError, match=f"{lists}/trainaug.txt nor {base}/datalist/trainaug.txt"):
        open_published("voc", base)
    (base / "datalist").mkdir()
    (tmp_path / "trainaug.txt").rename(base / "datalist" / "trainaug.txt")
    assert len(open_published("voc", base)) == 4
    (base / "SegmentationClassAug").rename(base / "SegmentationClass")
    assert voc_training_split(base) == "train"
    assert (len(open_published("voc", base)), len(open_published("voc", base, "val"))) == (3, 2)


def test_voc_masks_of_both_folders(tmp_path: Path) -> None:
    base = voc_root(tmp_path)
    official = base / "SegmentationClass"
    for split in ("train", "val"):
        for index in range(2):
            mask = paths("voc", tmp_path, split, index)[1]
            save(official / mask.name, np.full((48, 64), 7, np.uint8), palette=True)
    assert (PascalVOC(base, "val")[0].labels == 7).all()  # the official masks tell the score
    assert not (PascalVOC(base, "trainaug")[0].labels == 7).all()
    paths("voc", tmp_path, "train", 0)[1].unlink()
    assert (PascalVOC(base, "trainaug")[0].labels == 7).all()


def test_voc_lists_of_paths(tmp_path: Path) -> None:
    base = voc_root(tmp_path)
    mask = paths("voc", tmp_path, "val", 1)[1]
    save(base / "Other" / mask.name, np.full((48, 64), 3, np.uint8), palette=True)
    write_list(
        base / "datalist" / "mine.txt",
        [f"/JPEGImages/{mask.stem}.jpg /Other/{mask.name}", "", "/JPEGImages/2008_000000.jpg"],
    )
    mine = PascalVOC(base, "mine")
    assert [pair.image.stem for pair in mine.pairs] == [mask.stem, "2008_000000"]
    assert (mine[0].labels == 3).all() and len(mine[1].labels.unique()) > 5
    write_list(base / "datalist" / "none.txt", [])
    with pytest.raises(ValueError, match="none.txt is empty"):
        PascalVOC(base, "none")


def test_voc_test_has_pictures_only(tmp_path: Path) -> None:
    base = voc_root(tmp_path)
    with pytest.raises(ValueError, match="VOC 2012 test are not public.*voc_images"):
        PascalVOC(base, "test")
    with pytest.raises(FileNotFoundError, match="test.txt nor .*datalist/test.txt"):
        voc_images(base)
    write_list(base / "ImageSets" / "Segmentation" / "test.txt", ["2008_000001", "2008_000000"])
    assert voc_images(tmp_path) == [base / "JPEGImages" / f"2008_00000{n}.jpg" for n in (1, 0)]
    write_list(base / "ImageSets" / "Segmentation" / "test.txt", ["2008_000001", "2009_1"])
    with pytest.raises(FileNotFoundError, match="1 of 2 pictures .* missing: the first is .*2009_1.jpg"):
        voc_images(tmp_path)


@pytest.mark.parametrize(("kind", "name"), [(Cityscapes, "cityscapes"), (COCOStuff, "coco_stuff")])
def test_converted_masks_come_first(kind: Callable[[Path], Cityscapes], name: str, tmp_path: Path) -> None:
    write_published(name, tmp_path, raw=True)
    save(paths(name, tmp_path, "train", 0)[1], np.full((48, 64), 5, np.uint8))
    dataset = kind(tmp_path)
    assert (dataset[0].labels == 5).all() and len(dataset[1].labels.unique()) > 5


def test_coco_masks_in_the_published_folder(tmp_path: Path) -> None:
    write_published("coco_stuff", tmp_path, raw=True)
    (tmp_path / "annotations").rename(tmp_path / "stuffthingmaps_trainval2017")
    assert len(COCOStuff(tmp_path, "val2017")) == 2
