"""Fashion-MNIST and CIFAR-10 as they are distributed, decoded into memory."""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from subquad.base.files import check_unpacked
from subquad.base.limits import CLASS_IMAGES_BYTES, SMALL_PICTURE_PIXELS
from subquad.data.class_images.samples import PicturesInMemory

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SIDE = 32
_ROW = 1 + 3 * SIDE * SIDE  # bytes of a picture in the binary CIFAR-10
_OPENERS: dict[str, Callable[[Path], Any]] = {
    "": partial(open, mode="rb"),
    ".gz": gzip.open,
    ".xz": lzma.open,
}
_BATCHES = {"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)}


def find_root(name: str, root: str | Path | None) -> Path:
    """Return the folder of a data set: the one given, or `$SUBQUAD_DATA/name`.

    Raises:
        ValueError: If none is given and the variable is not set.
        FileNotFoundError: If there is no such folder.
    """
    data = os.environ.get("SUBQUAD_DATA", "")
    if root is None and not data:
        raise ValueError(
            f"{name} does not know where the data are; give --data.root, or set SUBQUAD_DATA to the folder "
            f"that holds {name}/."
        )
    found = Path(data) / name if root is None else Path(root)
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
    """Read CIFAR-10: the binary version, or `train.npz` and `test.npz` of JPEG files.

    Such an npz file holds `header`, the bytes that all files begin with; `bodies`, the rest of all
    files one after the other; `offsets`, where each begins and the last ends; and `labels`.

    Args:
        root: The folder of the files, or the one above `cifar-10-batches-bin`; see `find_root`.
        split: "train" (50,000) or "test" (10,000); "val" is the latter too.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file is not what it should be, or there are Python pickles only.
    """
    folder = find_root("cifar10", root)
    folder = next((f for f in (folder / "cifar-10-batches-bin",) if f.is_dir()), folder)
    split_ = _split_of(split)
    npz, binaries = folder / f"{split_}.npz", [folder / name for name in _BATCHES[split_]]
    if all(path.is_file() for path in binaries):
        pixels, classes = map(torch.cat, zip(*map(_read_binary, binaries), strict=True))
    elif npz.is_file():
        pixels, classes = _read_npz(npz)
    elif any((f / "data_batch_1").is_file() for f in (folder, folder / "cifar-10-batches-py")):
        raise ValueError(
            f"{folder} holds CIFAR-10 as Python pickles, which may run any code and are not opened; take the "
            f"binary version (data_batch_1.bin ...)."
        )
    else:
        raise FileNotFoundError(f"there is no {binaries[0]} and no {npz}; correct --data.root.")
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


def _read_binary(path: Path) -> tuple[Tensor, Tensor]:
    data = torch.from_numpy(np.fromfile(path, np.uint8))
    if not len(data) or len(data) % _ROW:
        raise ValueError(
            f"{path} has {len(data)} bytes, no multiple of {_ROW}; it is cut off, copy it again."
        )
    rows = data.view(-1, _ROW)
    return rows[:, 1:].reshape(-1, 3, SIDE, SIDE), rows[:, 0]


def _read_npz(path: Path) -> tuple[Tensor, Tensor]:
    try:
        check_unpacked(path, CLASS_IMAGES_BYTES)
        with np.load(path, allow_pickle=False) as arrays:
            header, bodies = arrays["header"].tobytes(), arrays["bodies"].tobytes()
            offsets, labels = arrays["offsets"].tolist(), arrays["labels"]
    except Exception as error:  # zipfile and zlib raise a dozen kinds for a broken file
        raise ValueError(
            f"{path} cannot be read ({error}); it is corrupt or not of this data set."
        ) from error
    if len(offsets) != len(labels) + 1 or sorted(offsets) != offsets or offsets[-1] != len(bodies):
        raise ValueError(
            f"{path} has {len(labels)} labels, {len(offsets)} offsets and {len(bodies)} bytes of bodies, "
            f"which do not belong together (see `cifar10`); make it again."
        )
    pixels = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    for number, (start, stop) in enumerate(pairwise(offsets)):
        pixels[number] = _decoded(header + bodies[start:stop], f"{path}, picture {number}")
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)


def _decoded(content: bytes, where: str) -> NDArray[Any]:
    from subquad.data.decoding import decode

    picture = np.asarray(
        decode(content, "image", where=where, max_pixels=SMALL_PICTURE_PIXELS).image.convert("RGB")
    )
    if picture.shape != (SIDE, SIDE, 3):
        raise ValueError(f"{where} is {picture.shape[0]} x {picture.shape[1]}, not {SIDE} x {SIDE}.")
    return picture
