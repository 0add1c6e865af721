"""CIFAR-10 as it is distributed: the binary version, or JPEG files packed into one file a split."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from subquad.base.files import check_unpacked
from subquad.base.limits import CLASS_IMAGES_BYTES
from subquad.base.suggest import beside
from subquad.data.pictures import read_small

CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SIDE = 32
CIFAR_SPLITS = {"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)}
_ROW = 1 + 3 * SIDE * SIDE  # bytes of a picture: its class, then red, green and blue


class CifarFile(NamedTuple):
    """Pictures as one file holds them.

    Attributes:
        path: The file.
        classes: Of each picture, 0 to 9.
        pictures: uint8 (pictures, 3, 32, 32), or the content of a JPEG file for each.
    """

    path: Path
    classes: list[int]
    pictures: NDArray[np.uint8] | list[bytes]

    def where(self, number: int) -> str:
        """Return what a picture is called in messages."""
        return f"{self.path}, picture {number}"

    def pixels(self) -> NDArray[np.uint8]:
        """Return all pictures decoded, uint8 (pictures, 3, 32, 32).

        Raises:
            ValueError: If one is broken, or of another size.
        """
        if not isinstance(self.pictures, list):
            return self.pictures
        pixels = np.empty((len(self.pictures), 3, SIDE, SIDE), np.uint8)
        for number, content in enumerate(self.pictures):
            pixels[number] = decode_cifar(content, self.where(number)).transpose(2, 0, 1)
        return pixels


def read_cifar(root: Path, split: str) -> list[CifarFile]:
    """Read a split of CIFAR-10: the binary version, or `train.npz` and `test.npz` of JPEG files.

    Such an npz file holds `header`, the bytes that all files begin with; `bodies`, the rest of all
    files one after the other; `offsets`, where each begins and the last ends; and `labels`.

    Args:
        root: The folder of the files, or the one above `cifar-10-batches-bin`.
        split: "train" or "test".

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If they are cut off, hold what does not belong together, or are Python pickles.
    """
    folder = root / "cifar-10-batches-bin" if (root / "cifar-10-batches-bin").is_dir() else root
    binaries, npz = [folder / name for name in CIFAR_SPLITS[split]], folder / f"{split}.npz"
    missing = next((path for path in binaries if not path.is_file()), None)
    if missing is None:
        return [_read_binary(path) for path in binaries]
    if npz.is_file():
        return [_read_npz(npz)]
    for pickles in (root, root / "cifar-10-batches-py"):
        if (pickles / "data_batch_1").is_file():
            raise ValueError(
                f"{pickles} holds CIFAR-10 as Python pickles, which may run any code and are not opened; "
                "take the binary version (data_batch_1.bin ...)."
            )
    raise FileNotFoundError(f"there is no {missing} and no {npz.name}; {beside(missing)}")


def decode_cifar(content: bytes, where: str) -> NDArray[np.uint8]:
    """Decode a picture of a packed file, uint8 (32, 32, 3).

    Raises:
        ValueError: If it is broken, or of another size.
    """
    picture = read_small(content, where, "RGB")
    if picture.shape != (SIDE, SIDE, 3):
        raise ValueError(f"{where} is {picture.shape[1]} x {picture.shape[0]}, not {SIDE} x {SIDE}.")
    return picture


def _read_binary(path: Path) -> CifarFile:
    data = np.fromfile(path, np.uint8)
    if not len(data) or len(data) % _ROW:
        raise ValueError(
            f"{path} has {len(data)} bytes, no multiple of {_ROW}; it is cut off, copy it again."
        )
    rows = data.reshape(-1, _ROW)
    if rows[:, 0].max() >= len(CIFAR_CLASSES):
        raise ValueError(f"{path} has the label {rows[:, 0].max()}, not 0 to 9; it is not CIFAR-10.")
    return CifarFile(path, rows[:, 0].tolist(), rows[:, 1:].reshape(-1, 3, SIDE, SIDE))


def _read_npz(path: Path) -> CifarFile:
    try:
        check_unpacked(path, CLASS_IMAGES_BYTES)
        with np.load(path, allow_pickle=False) as arrays:
            header, bodies = arrays["header"].tobytes(), arrays["bodies"].tobytes()
            offsets, labels = (
                arrays[name].astype(np.int64, casting="safe") for name in ("offsets", "labels")
            )
    except Exception as error:  # zipfile and zlib raise a dozen kinds for a broken file
        raise ValueError(
            f"{path} cannot be read ({error}); it is corrupt or not of this data set."
        ) from error
    _check_whole(path, offsets, labels, len(bodies))
    packed = [header + bodies[start:stop] for start, stop in pairwise(offsets.tolist())]
    return CifarFile(path, labels.tolist(), packed)


def _check_whole(path: Path, offsets: NDArray[Any], labels: NDArray[Any], size: int) -> None:
    is_whole = offsets.shape == (labels.size + 1,) and offsets[[0, -1]].tolist() == [0, size]
    if not is_whole or labels.ndim != 1 or (np.diff(offsets) < 0).any():
        raise ValueError(
            f"{path} has {labels.size} labels, {offsets.size} offsets and {size} bytes of bodies, which do "
            "not belong together; make it again."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < len(CIFAR_CLASSES):
        raise ValueError(
            f"{path} has labels from {labels.min()} to {labels.max()}, not 0 to 9; it is not CIFAR-10."
        )
