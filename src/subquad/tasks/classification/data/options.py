"""The options of pictures to be classified, as typed values; recipes hold what differs from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from subquad.base.limits import PICTURE_PIXELS
from subquad.data.class_images import ClassFiles, cifar10, fashion_mnist
from subquad.data.class_images.samples import ClassedPictures

PictureSet = Literal["class_folder", "cifar10", "fashion_mnist"]
Interpolation = Literal["bicubic", "bilinear", "random"]
IN_MEMORY = {"cifar10": cifar10, "fashion_mnist": fashion_mnist}


@dataclass
class PictureOptions:
    """Which pictures, and how they are presented.

    Attributes:
        name: "class_folder" (a folder for each class, as ImageNet's), "cifar10" or "fashion_mnist".
        root: Folder of the data. cifar10 and fashion_mnist look into $SUBQUAD_DATA/cifar10 and
            $SUBQUAD_DATA/fashion_mnist if it is not given.
        train: Name of the training split.
        evaluation: Name of the split that is evaluated; of cifar10 and fashion_mnist it is their test split.
        val_fraction: Share of each class of the training split that is held out and evaluated instead, by
            the seed; 0 for none.
        channels: 1 (grey) or 3; those of the data set if not given, 3 of a class_folder.
        size: Height and width that the network sees; if not given, the shorter side that half of the
            pictures have at least, 224 at most.
        crop_ratio: Share of a picture's shorter side that an evaluation sees, in (0, 1]; 1 if not given, or
            in an evaluation that of training.
        interpolation: "bicubic", "bilinear", or while training one of the two at random ("random", which
            evaluates by bicubic); bicubic if not given, or in an evaluation that of training.
        scale: Smallest and largest share of a training picture's area that is cut out and brought to the
            size; not given: its shorter side is brought to the size, and a square is cut out at random.
        ratio: Narrowest and widest shape of what is cut out by scale, width over height.
        padding: Black pixels around a training picture before a square is cut out; an eighth of the size if
            not given. Not with scale.
        flip: Probability of a horizontal flip.
        rand_augment: RandAugment in timm's words, such as rand-m9-mstd0.5-inc1; null for none.
        max_pixels: Refuse pictures of more ("class_folder" only); 268 million if not given.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process.
        workers: Loader processes for each training process; 0 loads in the training process.

    Raises:
        ValueError: If a value is out of range.
    """

    name: PictureSet = "class_folder"
    root: str | None = None
    train: str = "train"
    evaluation: str = "val"
    val_fraction: float = 0.0
    channels: int | None = None
    size: int | None = None
    crop_ratio: float | None = None
    interpolation: Interpolation | None = None
    scale: tuple[float, float] | None = None
    ratio: tuple[float, float] = (0.75, 4 / 3)
    padding: int | None = None
    flip: float = 0.5
    rand_augment: str | None = None
    max_pixels: int | None = None
    batch_size: int = 128
    eval_batch_size: int = 256
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for name, value, kind in (
            ("name", self.name, PictureSet),
            ("interpolation", self.interpolation or "bicubic", Interpolation),
        ):
            if value not in get_args(kind):
                raise ValueError(f"data.{name} must be one of {', '.join(get_args(kind))}, got {value!r}.")
        for name, least in {"batch_size": 1, "eval_batch_size": 1, "workers": 0, "padding": 0}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"data.{name} must be at least {least}, got {value}.")
        if self.channels not in (None, 1, 3):
            raise ValueError(f"data.channels must be 1 (grey) or 3, got {self.channels}.")
        if not 0 <= self.val_fraction < 1:
            raise ValueError(f"data.val_fraction must be in [0, 1), got {self.val_fraction}.")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"data.flip must be in [0, 1], got {self.flip}.")
        if self.crop_ratio is not None and not 0 < self.crop_ratio <= 1:
            raise ValueError(f"data.crop_ratio must be above 0 and at most 1, got {self.crop_ratio}.")
        for name, most in {"scale": 1.0, "ratio": math.inf}.items():
            range_ = getattr(self, name)
            if range_ is not None and not 0 < range_[0] <= range_[1] <= most:
                raise ValueError(f"data.{name} must be two growing numbers above 0, got {list(range_)}.")
        if self.scale is not None and self.scale[1] > 1:
            raise ValueError(f"data.scale is a share of the area, 1 at most, got {list(self.scale)}.")
        if self.scale is not None and self.padding is not None:
            raise ValueError("data.padding does not go with data.scale; leave one of the two out.")


def open_pictures(options: PictureOptions, split: str, channels: int | None = None) -> ClassedPictures:
    """Open a split of a data set.

    Args:
        options: Which data set.
        split: Name of the split.
        channels: That a network takes; None: as the options say.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If it cannot be understood, or has other channels than asked for.
    """
    wanted = options.channels if channels is None else channels
    if options.name in IN_MEMORY:
        pictures = IN_MEMORY[options.name](options.root, split)
        if wanted not in (None, pictures.channels):
            raise ValueError(
                f"the pictures of {options.name} have {pictures.channels} channel(s), but {wanted} are asked "
                f"for; take a network for them, or your own pictures with --data.name class_folder."
            )
        return pictures
    if options.root is None:
        raise ValueError("the data set needs a folder: give --data.root PATH.")
    most = PICTURE_PIXELS if options.max_pixels is None else options.max_pixels
    return ClassFiles(options.root, split, channels=3 if wanted is None else wanted, max_pixels=most)
