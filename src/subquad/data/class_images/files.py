"""Fashion-MNIST and CIFAR-10 as they are distributed, decoded into memory."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.base.limits import CLASS_IMAGES_BYTES
from subquad.data.cifar import CIFAR_CLASSES, read_cifar
from subquad.data.class_images.samples import PicturesInMemory
from subquad.data.shared import data_folder

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_OPENERS: dict[str, Callable[[Path], Any]] = {
    "": partial(open, mode="rb"),
    ".gz": gzip.open,
    ".xz": lzma.open,
}


def find_root(name: str, root: str | Path | None) -> Path:
    """Return the folder of a data set: the one given, or `$SUBQUAD_DATA/name`.

    Raises:
        ValueError: If none is given and the variable is not set.
        FileNotFoundError: If there is no such folder.
    """
    found = data_folder(name, root, who=name, give="--data.root,")
    if not found.is_dir():
        raise FileNotFoundError(f"there is no folder {found}; correct --data.root or SUBQUAD_DATA.")
    return found


def fashion_mnist(root: str | Path | None, split: str) -> PicturesInMemory:
    """Read Fashion-MNIST, or another set in the files of MNIST with these ten classes.

    Its 28 x 28 pictures get a border of two black pixels: 32 x 32, which no pixel is resampled for.

    Args:
        root: The folder of the IDX files, plain, .gz or .xz, or the one above `raw`; see `find_root`.
        split: "train" (60,000) or "test" (10,000); "val" is the latter too.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file is not what it should be.
    """
    folder = find_root("fashion_mnist", root)
    folder = next((f for f in (folder / "raw", folder / "FashionMNIST" / "raw") if f.is_dir()), folder)
    start = {"train": "train", "test": "t10k"}[_split_of(split)]
    pixels = _read_idx(folder, f"{start}-images-idx3-ubyte", axes=3)
    classes = _read_idx(folder, f"{start}-labels-idx1-ubyte", axes=1)
    if pixels.shape[1:] != (28, 28):
        raise ValueError(f"{folder} has pictures of {tuple(pixels.shape[1:])}, not 28 x 28.")
    padded = F.pad(pixels[:, None], (2, 2, 2, 2))
    return PicturesInMemory(padded, classes, FASHION_CLASSES, f"{folder} ({split})")


def cifar10(root: str | Path | None, split: str) -> PicturesInMemory:
    """Read CIFAR-10, as `subquad.data.cifar.read_cifar` does.

    Args:
        root: The folder of the files, or the one above `cifar-10-batches-bin`; see `find_root`.
        split: "train" (50,000) or "test" (10,000); "val" is the latter too.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file is not what it should be, or there are Python pickles only.
    """
    folder = find_root("cifar10", root)
    files = read_cifar(folder, _split_of(split))
    pixels = torch.cat([torch.from_numpy(file.pixels()) for file in files])
    classes = torch.tensor([label for file in files for label in file.classes])
    return PicturesInMemory(pixels, classes, CIFAR_CLASSES, f"{folder} ({split})")


def _split_of(split: str) -> str:
    known = {"train": "train", "test": "test", "val": "test"}
    if split not in known:
        raise ValueError(f"there is no split {split!r}; there are train and test.")
    return known[split]


def _read_idx(folder: Path, name: str, axes: int) -> Tensor:
    path = next((p for end in _OPENERS if (p := folder / f"{name}{end}").is_file()), None)
    if path is None:
        raise FileNotFoundError(f"there is no {folder / name}, nor with .gz or .xz; correct --data.root.")
    suffix = path.suffix if path.suffix in _OPENERS else ""
    try:
        with _OPENERS[suffix](path) as file:
            content = file.read(CLASS_IMAGES_BYTES + 1)
        if len(content) > CLASS_IMAGES_BYTES:
            raise ValueError(f"it unpacks to more than {CLASS_IMAGES_BYTES:,} bytes")
    except (OSError, EOFError, lzma.LZMAError, ValueError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}); copy it again.") from error
    whole = len(content) >= 4 * (1 + axes)
    head = np.frombuffer(content[: 4 * (1 + axes)] if whole else b"", ">u4")
    shape = tuple(map(int, head[1:]))
    # The first number tells the type of the values (8: bytes) and the number of axes.
    if not whole or head[0] != 0x800 + axes or len(content) != head.nbytes + np.prod(shape):
        raise ValueError(f"{path} is no IDX file of bytes with {axes} axes, or cut off; copy it again.")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=head.nbytes).reshape(shape).copy())
