"""A folder with a folder of pictures for each class, such as ImageNet's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.base.hidden import visible
from subquad.base.limits import PICTURE_PIXELS
from subquad.data.class_images.samples import check_classes, scaled
from subquad.data.fingerprint import file_parts
from subquad.data.picture_files import image_files
from subquad.data.pictures import read_image

_SPLITS = ("train", "val", "test")


class ClassFiles:
    """Pictures of `root/split/class/*`, or of `root/class/*` where no split has a folder of its own.

    Classes are numbered in the order of their folders' names. Grey pictures become coloured ones, and
    the other way round if `channels` is 1. Pictures are read when they are asked for.

    Args:
        root: The folder.
        split: Name of the folder in it.
        channels: 1 or 3.
        max_pixels: Refuse a picture of more.

    Raises:
        FileNotFoundError: If the folder, the split or its classes are not there.
        ValueError: If a class has no picture.
    """

    def __init__(
        self, root: str | Path, split: str, *, channels: int = 3, max_pixels: int = PICTURE_PIXELS
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"pictures have 1 or 3 channels, got {channels}.")
        folder = folder_of(Path(root), split)
        found = [path for path in visible(folder) if path.is_dir()]
        if not found:
            raise FileNotFoundError(f"{folder} holds no folders; it needs one for each class.")
        files = [image_files(path) for path in found]
        self.class_names = tuple(path.name for path in found)
        self.classes = torch.tensor([n for n, names in enumerate(files) for _ in names], dtype=torch.int64)
        self.files = [path for names in files for path in names]
        self.channels, self.max_pixels, self.where = channels, max_pixels, str(folder)
        check_classes(self)

    def __len__(self) -> int:
        return len(self.files)

    def decoded(self, index: int) -> Tensor:
        """Return a picture at its own size, uint8 (channels, H, W).

        Raises:
            ValueError: If the file cannot be decoded.
        """
        image = read_image(self.files[index], self.max_pixels)
        return image if self.channels == 3 else grey(image).round().byte()

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return the names and sizes of the files."""
        return file_parts(self.files)


class ClassFolder(ClassFiles):
    """`ClassFiles` brought to one size.

    Args:
        root: See `ClassFiles`, as `split` and `channels`.
        side: Height and width that pictures are brought to; see `centre_square`.
    """

    def __init__(self, root: str | Path, split: str, *, side: int, channels: int = 3) -> None:
        super().__init__(root, split, channels=channels)
        self.side = side

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """Return pictures, float32 (len(indices), channels, side, side) in -1..1.

        Raises:
            ValueError: If a file cannot be decoded.
        """
        return torch.stack([self._read(self.files[index]) for index in indices])

    def _read(self, path: Path) -> Tensor:
        image = read_image(path)
        image = image.float() if self.channels == 3 else grey(image)
        return scaled(centre_square(image, self.side))


def grey(image: Tensor) -> Tensor:
    """Return the luminance of a picture, float (1, H, W), from red, green and blue."""
    red, green, blue = image.float()
    return (0.299 * red + 0.587 * green + 0.114 * blue)[None]


def centre_square(image: Tensor, side: int) -> Tensor:
    """Cut out the largest square in the middle and resample it, bilinear, first to last pixel centre.

    Its top left corner is at half the surplus, rounded up. Nothing is smoothed before a reduction.

    Args:
        image: float (channels, H, W).
        side: Height and width wanted.

    References:
        HamGAN's preparation of ImageNet.
    """
    height, width = image.shape[1:]
    square = min(height, width)
    top, left = math.ceil((height - square) / 2), math.ceil((width - square) / 2)
    cut = image[:, top : top + square, left : left + square]
    return F.interpolate(cut[None], size=(side, side), mode="bilinear", align_corners=True)[0]


def folder_of(root: Path, split: str) -> Path:
    """Return the folder of a split: its own, or the root where no split has one.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; correct --data.root.")
    if (root / split).is_dir():
        return root / split
    known = [name for name in _SPLITS if (root / name).is_dir()]
    if known or split not in _SPLITS:
        there = f"; there is {' and '.join(known)}" if known else ""
        raise FileNotFoundError(f"there is no folder {root / split}{there}.")
    return root
