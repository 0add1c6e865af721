"""The options of pictures with classes, as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from subquad.data.cifar import SIDE
from subquad.data.class_images.files import cifar10, fashion_mnist
from subquad.data.class_images.folder import ClassFolder
from subquad.data.class_images.samples import ClassImages

ImageSet = Literal["class_folder", "cifar10", "fashion_mnist"]
_SMALL = {"cifar10": cifar10, "fashion_mnist": fashion_mnist}
_CHANNELS = {"cifar10": 3, "fashion_mnist": 1}


@dataclass
class ClassImageOptions:
    """Which pictures, and how they are presented.

    Attributes:
        name: "class_folder" (a folder for each class, as ImageNet's), "cifar10" or "fashion_mnist".
        root: Folder of the data. cifar10 and fashion_mnist look into $SUBQUAD_DATA/cifar10 and
            $SUBQUAD_DATA/fashion_mnist if it is not given.
        train: Name of the training split.
        evaluation: Name of the split that generated pictures are compared with; that of cifar10 and
            fashion_mnist is their test split.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process.
        workers: Loader processes for each training process; 0 loads in the training process.

    Raises:
        ValueError: If a value is out of range.
    """

    name: ImageSet = "class_folder"
    root: str | None = None
    train: str = "train"
    evaluation: str = "val"
    batch_size: int = 64
    eval_batch_size: int = 200
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.name not in get_args(ImageSet):
            raise ValueError(f"unknown data set {self.name!r}; there are {', '.join(get_args(ImageSet))}.")
        for name, least in {"batch_size": 1, "eval_batch_size": 1, "workers": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"data.{name} must be at least {least}, got {getattr(self, name)}.")

    def fixed(self) -> tuple[int, int] | None:
        """Return (channels, side) where the data set decides them, else None."""
        return (_CHANNELS[self.name], SIDE) if self.name in _SMALL else None


def open_class_images(options: ClassImageOptions, split: str, *, side: int, channels: int) -> ClassImages:
    """Open a split of a data set.

    Args:
        options: Which data set.
        split: Name of the split.
        side: Height and width that are wanted.
        channels: 1 or 3.

    Raises:
        ValueError: If the data set has other pictures than wanted, or cannot be understood.
        FileNotFoundError: If something is not there.
    """
    fixed = options.fixed()
    if fixed is not None:
        if fixed != (channels, side):
            kind = "grey" if fixed[0] == 1 else "colour"
            raise ValueError(
                f"{options.name} has {kind} pictures of {fixed[1]} x {fixed[1]} ({fixed[0]} channel(s)), but "
                f"{channels} channel(s) of {side} x {side} are asked for; take a network for them, or your "
                f"own pictures with --data.name class_folder."
            )
        return _SMALL[options.name](options.root, split)
    if options.root is None:
        raise ValueError("the data set needs a folder: give --data.root PATH.")
    return ClassFolder(options.root, split, side=side, channels=channels)
