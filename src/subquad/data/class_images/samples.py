"""Pictures with a class each: what every data set of them offers, and one that keeps them in memory.

The batch that training and evaluation meet on is a dictionary:

    image   float32 (batch, channels, side, side) in -1..1: v * 2 / 255 - 1 of a value v in 0..255
    label   int64 (batch,), the class
    index   int64 (batch,), the number of the picture in its split; -1 of one that only fills up
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypedDict

import torch
from torch import Tensor

from subquad.base.suggest import and_more
from subquad.data.fingerprint import tensor_bytes


class ClassBatch(TypedDict):
    """See the head of this file."""

    image: Tensor
    label: Tensor
    index: Tensor


class ClassedPictures(Protocol):
    """A split of a data set of pictures of any size with a class each.

    Attributes:
        class_names: In the order of their numbers.
        classes: Of each picture, int64 (pictures,).
        channels: 1 (grey) or 3 (red, green, blue).
        where: What it is called in complaints.
    """

    class_names: tuple[str, ...]
    classes: Tensor
    channels: int
    where: str

    def __len__(self) -> int:
        """Return the number of pictures."""
        ...

    def decoded(self, index: int) -> Tensor:
        """Return a picture at its own size, uint8 (channels, H, W)."""
        ...


class ClassImages(ClassedPictures, Protocol):
    """A split whose pictures are all square and of one size.

    Attributes:
        side: Height and width.
    """

    side: int

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """Return pictures, float32 (len(indices), channels, side, side) in -1..1."""
        ...


class PicturesInMemory:
    """A split whose pictures are all decoded.

    Args:
        pixels: uint8 (pictures, channels, side, side).
        classes: Of each picture, integers (pictures,).
        class_names: In the order of their numbers.
        where: What the split is called in complaints.

    Raises:
        ValueError: If there are not as many classes as pictures, or a class has no picture.
    """

    def __init__(self, pixels: Tensor, classes: Tensor, class_names: tuple[str, ...], where: str) -> None:
        if len(pixels) != len(classes):
            raise ValueError(
                f"{where} has {len(pixels)} pictures, but the classes of {len(classes)}; copy it again."
            )
        self.pixels, self.classes, self.class_names = pixels, classes.long(), class_names
        self.channels, self.side, self.where = pixels.shape[1], pixels.shape[2], where
        check_classes(self)

    def __len__(self) -> int:
        return len(self.pixels)

    def decoded(self, index: int) -> Tensor:
        """Return a picture, uint8 (channels, side, side)."""
        return self.pixels[index]

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """Return pictures, float32 (len(indices), channels, side, side) in -1..1."""
        return scaled(self.pixels[torch.as_tensor(indices)])

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return classes and pixels."""
        return [tensor_bytes(self.classes), tensor_bytes(self.pixels)]


def scaled(values: Tensor) -> Tensor:
    """Bring 0..255 to -1..1, float32."""
    return values.float() * 2 / 255 - 1


def check_splits_agree(train: ClassedPictures, evaluation: ClassedPictures) -> None:
    """Raise ValueError unless two splits have the same classes."""
    if train.class_names != evaluation.class_names:
        differ = sorted(set(train.class_names) ^ set(evaluation.class_names))
        raise ValueError(
            f"{train.where} has {len(train.class_names)} classes, {evaluation.where} "
            f"{len(evaluation.class_names)}: {differ[:3]} are in one of them only; give both the same."
        )


def check_classes(split: ClassedPictures) -> None:
    """Raise ValueError unless every class has a picture and every picture a class that is known."""
    names, classes = split.class_names, split.classes
    if not len(classes):
        raise ValueError(f"{split.where} holds no picture; correct --data.root.")
    if int(classes.min()) < 0 or int(classes.max()) >= len(names):
        wrong = int(classes.max() if int(classes.max()) >= len(names) else classes.min())
        raise ValueError(
            f"{split.where} has a picture of class {wrong}, but the classes are 0..{len(names) - 1}."
        )
    empty = [names[number] for number in (torch.bincount(classes, minlength=len(names)) == 0).nonzero()]
    if empty:
        raise ValueError(
            f"there is no picture of {and_more(list(map(repr, empty)))} in {split.where}; add pictures, or "
            "leave the class out."
        )
