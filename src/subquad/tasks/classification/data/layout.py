"""How a folder of pictures in classes is told from one of images and masks."""

from __future__ import annotations

from pathlib import Path

from subquad.base.hidden import visible
from subquad.data.class_images.folder import folder_of
from subquad.data.picture_files import image_files

SPLITS = ("train", "val", "test")

_FEW = 5  # folders are looked into
# What folders of images and masks are called, in whole or in part: JPEGImages, SegmentationClass.
_NO_CLASSES = ("image", "img", "label", "mask", "annotation", "segmentation")


def is_class_folder(root: Path) -> bool:
    """Say whether a folder plainly is `root/train/class/*` or `root/class/*`.

    It is not plain if the pictures of its folders have the same names: one of them may hold the masks.
    """
    try:
        folders = [path for path in visible(folder_of(root, SPLITS[0])) if path.is_dir()]
    except FileNotFoundError:
        return False
    if len(folders) < 2 or any(word in path.name.lower() for path in folders for word in _NO_CLASSES):
        return False
    first = [next(iter(image_files(path)), None) for path in folders[:_FEW]]
    stems = [path.stem for path in first if path is not None]
    return len(stems) == len(first) and not all(stem.startswith(min(stems, key=len)) for stem in stems)
