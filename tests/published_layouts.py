"""Tiny copies of the published data sets, in the layouts that users have on disk."""

from pathlib import Path

import numpy as np
from PIL import Image

CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
COCO_GAPS = {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}

# What masks hold in each layout, and what the set itself calls training and validation.
STORED = {
    "ade20k": range(151),
    "voc": (*range(21), 255),
    "pascal_context": range(60),
    "pascal_context_60": range(60),
    "cityscapes": (*range(19), 255),
    "coco_stuff": (*range(171), 255),
}
NUM_CLASSES = {
    "ade20k": 150,
    "voc": 21,
    "pascal_context": 59,
    "pascal_context_60": 60,
    "cityscapes": 19,
    "coco_stuff": 171,
}


def write_published(name, root, *, train=4, val=2, size=(48, 64), raw=False):
    """Write a tiny copy of a published data set; returns the folder that `--data.root` takes.

    Args:
        name: As `--data.name`: a key of `STORED`.
        root: A folder, made if it is not there.
        train: Number of training pictures.
        val: Number of validation pictures.
        size: Height and width of each.
        raw: Masks as they are downloaded, before the usual converters (Cityscapes, COCO-Stuff).
    """
    root = Path(root)
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            rng = np.random.default_rng([len(name), index, split == "val"])
            image = rng.integers(0, 256, (*size, 3), np.uint8)
            write_pair(name, root, split, index, image, blocks(rng, values_of(name, raw), size), raw)
    write_lists(name, root, train, val)
    return root


def values_of(name, raw):
    """Return the values that the masks of a layout may hold."""
    if raw and name == "cityscapes":
        return range(34)
    if raw and name == "coco_stuff":
        return [*sorted(set(range(182)) - COCO_GAPS), 255]
    return STORED[name]


def blocks(rng, values, size):
    """Return a mask of 8 x 8 blocks that show all values, as far as they fit."""
    height, width = -(-size[0] // 8), -(-size[1] // 8)
    shown = np.resize(rng.permutation(np.array(values, np.uint8)), height * width)
    return shown.reshape(height, width).repeat(8, 0).repeat(8, 1)[: size[0], : size[1]]


def write_pair(name, root, split, index, image, mask, raw=False):
    """Write one picture and its mask where the layout has them."""
    image_path, mask_path = paths(name, root, split, index, raw)
    save(image_path, image)
    save(mask_path, mask, palette=name == "voc")


def paths(name, root, split, index, raw=False):
    """Return the paths of the picture and of the mask number `index` of a split."""
    stem = stem_of(name, split, index)
    if name == "ade20k":
        base, folder = root / "ADEChallengeData2016", {"train": "training", "val": "validation"}[split]
        return base / "images" / folder / f"{stem}.jpg", base / "annotations" / folder / f"{stem}.png"
    if name == "voc":
        base = root / "VOCdevkit" / "VOC2012"
        return base / "JPEGImages" / f"{stem}.jpg", base / "SegmentationClassAug" / f"{stem}.png"
    if name.startswith("pascal_context"):
        base = root / "VOCdevkit" / "VOC2010"
        return base / "JPEGImages" / f"{stem}.jpg", base / "SegmentationClassContext" / f"{stem}.png"
    if name == "cityscapes":
        city, kind = stem.split("_")[0], "labelIds" if raw else "labelTrainIds"
        return (
            root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png",
            root / "gtFine" / split / city / f"{stem}_gtFine_{kind}.png",
        )
    folder, suffix = f"{split}2017", "" if raw else "_labelTrainIds"
    return root / "images" / folder / f"{stem}.jpg", root / "annotations" / folder / f"{stem}{suffix}.png"


def stem_of(name, split, index):
    """Return what the set calls a picture."""
    if name == "ade20k":
        return f"ADE_{split}_{index + 1:08}"
    if name == "cityscapes":
        city = {"train": ("aachen", "bochum"), "val": ("frankfurt", "lindau")}[split][index % 2]
        return f"{city}_{index:06}_000019"
    if name == "coco_stuff":
        return f"{index + (1000 if split == 'val' else 0):012}"
    return f"200{7 if split == 'train' else 8}_{index:06}"


def write_lists(name, root, train, val):
    """Write the lists of splits, for the sets that have them."""
    if name not in ("voc", "pascal_context", "pascal_context_60"):
        return
    stems = {
        split: [stem_of(name, split, index) for index in range(count)]
        for split, count in (("train", train), ("val", val))
    }
    folder = paths(name, root, "train", 0)[0].parents[1] / "ImageSets"
    if name == "voc":
        folder = folder / "Segmentation"
        # Of the 10,582 pictures of trainaug, 1,464 are in train; here, all but the first.
        lists = stems | {"trainaug": stems["train"], "train": stems["train"][1:]}
        lists["trainval"] = lists["train"] + stems["val"]
    else:
        folder, lists = folder / "SegmentationContext", stems
    for split, names in lists.items():
        write_list(folder / f"{split}.txt", names)


def write_list(path, names):
    """Write a list of pictures, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def save(path, pixels, palette=False):
    """Write an array as a picture, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if palette:
        picture.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    picture.save(path)
