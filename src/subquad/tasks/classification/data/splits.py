"""A training split and one that is evaluated, where there is one split only or two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from subquad.base.seeds import mix_seed
from subquad.data.class_images.samples import ClassedPictures, check_splits_agree
from subquad.data.fingerprint import parts_of, tensor_bytes
from subquad.tasks.classification.data.options import PictureOptions, open_pictures

MASKED = [("images", "labels"), ("images", "masks"), ("annotations", "images")]  # no classes, by their names


class Part:
    """Some of the pictures of a split.

    Args:
        pictures: The split.
        indices: Of those that are meant, in the split.
    """

    def __init__(self, pictures: ClassedPictures, indices: Sequence[int]) -> None:
        self.whole, self.indices = pictures, torch.tensor(indices)
        self.class_names, self.channels = pictures.class_names, pictures.channels
        self.classes = pictures.classes[self.indices]
        self.where = f"{len(self)} pictures of {pictures.where}"

    def __len__(self) -> int:
        return len(self.indices)

    def decoded(self, index: int) -> Tensor:
        """Return a picture at its own size, uint8 (channels, H, W)."""
        return self.whole.decoded(int(self.indices[index]))

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return those of the whole, and which of it are meant."""
        return [*parts_of(self.whole), tensor_bytes(self.indices)]


def open_splits(
    options: PictureOptions, seed: int, *, training: bool, channels: int | None
) -> tuple[ClassedPictures | None, ClassedPictures]:
    """Open what is trained on, if it is wanted, and what is evaluated.

    Args:
        options: Which data set.
        seed: Decides which pictures are held out.
        training: Whether both are wanted.
        channels: That a network takes; None: as the options say.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If it cannot be understood, there is one class only, or training would be scored on its
            own pictures.
    """
    if options.val_fraction:
        kept, held_out = hold_out(open_pictures(options, options.train, channels), options.val_fraction, seed)
        train, evaluation = kept if training else None, held_out
    else:
        train = open_pictures(options, options.train, channels) if training else None
        evaluation = open_pictures(options, options.evaluation, channels)
    if train is not None:
        if train.where == evaluation.where:
            raise ValueError(
                f"{train.where} has no folders {options.train} and {options.evaluation}, so training would "
                f"be scored on its own pictures; hold some out with --data.val_fraction 0.1, or make the two."
            )
        check_splits_agree(train, evaluation)
        if train.class_names in MASKED:
            raise ValueError(
                f"{train.where} holds images and {train.class_names[-1]}, a class for each pixel; give a "
                f"network for that, such as --model.name light_ham_van_tiny_d256, or a folder for each class."
            )
        only = train.class_names[0]
        if len(train.class_names) < 2:
            raise ValueError(
                f"{train.where} has one class ({only}), which teaches nothing; it needs a "
                f"folder for each of two classes or more{_deeper(options, only)}."
            )
    return train, evaluation


def hold_out(pictures: ClassedPictures, share: float, seed: int) -> tuple[Part, Part]:
    """Split pictures in two: of each class, the share is in the second, and at least one picture in each.

    Args:
        pictures: Of a training split.
        share: Above 0, below 1.
        seed: Decides which.

    Raises:
        ValueError: If a class has one picture only.
    """
    kept: list[int] = []
    held_out: list[int] = []
    for number, name in enumerate(pictures.class_names):
        members = (pictures.classes == number).nonzero().flatten()
        if len(members) < 2:
            raise ValueError(
                f"there is one picture of {name!r} in {pictures.where}, and --data.val_fraction {share} "
                f"needs two of each class; add pictures, or leave the class out."
            )
        generator = torch.Generator().manual_seed(mix_seed(seed, number))
        members = members[torch.randperm(len(members), generator=generator)].tolist()
        count = min(max(1, round(share * len(members))), len(members) - 1)
        held_out += members[:count]
        kept += members[count:]
    return Part(pictures, sorted(kept)), Part(pictures, sorted(held_out))


def _deeper(options: PictureOptions, name: str) -> str:
    """Return a hint if the classes seem to be in the one folder."""
    folder = Path(options.root or ".") / name
    inside = folder.is_dir() and any(path.is_dir() for path in folder.iterdir())
    return f" (perhaps --data.root {folder} is meant)" if inside else ""
