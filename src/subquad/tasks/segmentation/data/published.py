"""What the published data sets share: what they are called, and reading masks as they store them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from subquad.data.fingerprint import file_parts
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
