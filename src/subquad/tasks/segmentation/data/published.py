"""What the published data sets share: finding their files, and reading masks as they store them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from subquad.data.fingerprint import file_parts
from subquad.data.picture_files import image_files
from subquad.data.pictures import read_picture
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.labels import LabelSet, Sample
from subquad.tasks.segmentation.data.masks import check_same_size, read_raw_mask

CLASSES = Path(__file__).parent / "classes"


@dataclass(frozen=True)
class Encoding:
    """What the values of a mask file mean.

    Args:
        labels: The label of each value that may occur.
        holds: The same in words, for messages.
        reduced: Whether 255 tells that the mask was converted before.
    """

    labels: dict[int, int]
    holds: str
    reduced: bool = False


class Pair(NamedTuple):
    """One picture of a published data set.

    Attributes:
        image: File of the picture.
        mask: File of its classes.
        encoding: What the values of the mask mean.
    """

    image: Path
    mask: Path
    encoding: Encoding


@dataclass(frozen=True)
class Source:
    """What a data set is called and where it is had.

    Args:
        title: Its name in messages.
        home: Its official page, and what to take there.
        sizes: How many pictures each split has as it was published.
    """

    title: str
    home: str
    sizes: dict[str, int] = field(default_factory=dict)

    def missing(self, what: str) -> FileNotFoundError:
        """Return the error for something that is not there, with the place where it is had."""
        return FileNotFoundError(f"{what}; {self.title} is had from {self.home}.")


class PublishedDataset(Dataset[Sample]):
    """Pictures and masks of a published data set, as they lie on disk.

    Args:
        split: The set's own name of the split.
        labels: The classes.
        pairs: Where the files are.

    Attributes:
        source: What the set is called and where it is had.
        split: The set's own name of the split.
        labels: The classes.
        pairs: The files of each sample.
    """

    source: ClassVar[Source]

    def __init__(self, split: str, labels: LabelSet, pairs: list[Pair]) -> None:
        self.split, self.labels, self.pairs = split, labels, pairs

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.pairs)

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return the names and sizes of the files."""
        return file_parts([path for pair in self.pairs for path in pair[:2]])

    def __getitem__(self, index: int) -> Sample:
        """Decode one sample.

        Raises:
            IndexError: If there is no such sample.
            ValueError: If a file is corrupt, the mask is not stored as that of this data set, or
                the sizes of image and mask differ.
        """
        pair = self.pairs[index]
        picture, mask = read_picture(pair.image), read_encoded_mask(pair, self.source)
        check_same_size(picture, pair.image, mask, pair.mask)
        return Sample(picture.pixels, mask, self.name_of(pair.image))

    def name_of(self, image: Path) -> str:
        """What the set calls a picture: the name of the file without suffix."""
        return image.stem


def read_encoded_mask(pair: Pair, source: Source) -> Tensor:
    """Read the labels of a mask.

    Args:
        pair: Files and encoding.
        source: For messages.

    Returns:
        Class indices or `IGNORE_INDEX`, uint8 (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is corrupt or lossy, holds colours, or a value that has no meaning.
    """
    values, holds = read_raw_mask(pair.mask), pair.encoding.holds
    if values.ndim == 3:
        raise ValueError(
            f"mask {pair.mask} holds RGB colours, but {source.title} is read from class indices ({holds}); "
            f"take the masks as they are published, see {source.home}."
        )
    table = np.full(257, -1)  # the last entry stands for everything that does not fit 8 bits
    table[list(pair.encoding.labels)] = list(pair.encoding.labels.values())
    indices = np.where((values < 0) | (values > 255), 256, values).astype(np.int64)
    labels = table[indices]
    if (labels < 0).any():
        row, column = np.argwhere(labels < 0)[0]
        value, bits = int(values[row, column]), 8 if values.dtype.itemsize == 1 else 16
        before = "it was reduced before, so " if value == 255 and pair.encoding.reduced else ""
        raise ValueError(
            f"mask {pair.mask} ({bits}-bit) holds {value} at row {row}, column {column}, but the masks of "
            f"{source.title} hold {holds}; {before}take the masks as they are published, see {source.home}, "
            f"or convert them again."
        )
    return torch.from_numpy(labels.astype(np.uint8))


def plain_encoding(num_classes: int) -> Encoding:
    """Return the encoding of masks that hold the labels themselves."""
    labels = {index: index for index in (*range(num_classes), IGNORE_INDEX)}
    return Encoding(labels, f"0..{num_classes - 1} and {IGNORE_INDEX} for ignored pixels")


def zero_reduced_encoding(num_classes: int) -> Encoding:
    """Return the encoding in which 0 is unlabelled and k is class k - 1 ("reduce zero label")."""
    labels = {index + 1: index for index in range(num_classes)}
    return Encoding({0: IGNORE_INDEX} | labels, f"0..{num_classes}, where 0 is unlabelled", reduced=True)


@cache
def published_labels(name: str) -> LabelSet:
    """Return the classes of a published data set in their usual order and colours."""
    return LabelSet.from_file(CLASSES / f"{name}.txt")


def own_split(split: str, names: dict[str, str], source: Source) -> str:
    """Return the set's own name of a split, which may be given as "train" and "val", too.

    Raises:
        ValueError: If there is no such split.
    """
    if split in names.values():
        return split
    if split not in names:
        raise ValueError(
            f"{source.title} has no split {split!r} with masks; take one of "
            f"{', '.join(dict.fromkeys([*names, *names.values()]))}."
        )
    return names[split]


def find_base(root: str | Path | None, bases: Sequence[str], marker: str, source: Source) -> Path:
    """Find the folder that a data set's paths begin in.

    Args:
        root: What the user gave: this folder or one above it.
        bases: The ways from `root` that are tried.
        marker: The folder that must be in it.
        source: For messages.

    Raises:
        ValueError: If `root` is None.
        FileNotFoundError: If there is no such folder.
    """
    if root is None:
        raise ValueError(
            f"{source.title} needs its folder: give root (on the command line --data.root PATH); "
            f"the set is had from {source.home}."
        )
    if not Path(root).is_dir():
        raise source.missing(f"there is no folder {root}")
    tried = [Path(root) / base / marker for base in bases]
    for base, wanted in zip(bases, tried, strict=True):
        if wanted.is_dir():
            return Path(root) / base
    raise source.missing(
        f"{root} does not hold {source.title} in its usual layout: there is no folder "
        f"{' nor '.join(map(str, tried))}"
    )


def list_pictures(folder: Path, source: Source) -> list[Path]:
    """List the pictures of a folder, sorted.

    Raises:
        FileNotFoundError: If it is not there or holds none.
    """
    if not folder.is_dir():
        raise source.missing(f"there is no folder {folder}")
    if not (pictures := image_files(folder)):
        raise source.missing(f"the folder {folder} holds no picture")
    return pictures


def read_list(candidates: Sequence[Path], source: Source) -> tuple[Path, list[list[str]]]:
    """Read the first list of pictures that exists.

    Returns:
        The file, and the words of each line that is not empty.

    Raises:
        FileNotFoundError: If none exists.
        ValueError: If it names no picture.
    """
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise source.missing(f"there is no list of pictures {' nor '.join(map(str, candidates))}")
    lines = [line.split() for line in found.read_text(encoding="utf-8-sig").splitlines()]
    lines = [words for words in lines if words]
    if not lines:
        raise ValueError(f"the list {found} is empty; write one picture a line.")
    return found, lines


def find_pairs(
    images: Iterable[Path],
    masks_of: Callable[[Path], Sequence[tuple[Path, Encoding]]],
    source: Source,
    split: str,
) -> list[Pair]:
    """Find the mask of each picture.

    Args:
        images: The pictures of the split; all must be there.
        masks_of: The files in which the mask of a picture may be, the best first.
        source: For messages.
        split: For messages.

    Raises:
        FileNotFoundError: If any picture or mask is missing; the first one is named.
    """
    names: dict[Path, set[str]] = {}  # a look into each folder once: sets have up to 118,000 pictures

    def exists(path: Path) -> bool:
        folder = path.parent
        if folder not in names:
            names[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
        return path.name in names[folder]

    pairs, absent, lonely, total = [], [], [], 0
    for image in images:
        total += 1
        found = next((mask for mask in masks_of(image) if exists(mask[0])), None)
        if not exists(image):
            absent.append(image)
        elif found is None:
            lonely.append(image)
        else:
            pairs.append(Pair(image, *found))
    if absent:
        raise source.missing(
            f"{len(absent)} of {total} pictures of {source.title}, split {split}, are missing: the first is "
            f"{absent[0]}"
        )
    if lonely:
        wanted = " nor ".join(str(mask) for mask, _ in masks_of(lonely[0]))
        raise source.missing(
            f"{len(lonely)} of {total} pictures of {source.title}, split {split}, have no mask: the first is "
            f"{lonely[0]}, for which there is no {wanted}"
        )
    return pairs
