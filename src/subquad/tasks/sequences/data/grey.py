"""CIFAR-10 as sequences of 1,024 grey levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subquad.base.files import check_unpacked
from subquad.base.limits import CLASS_IMAGES_BYTES, SMALL_PICTURE_PIXELS
from subquad.data.decoding import decode
from subquad.tasks.sequences.data.files import beside
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.split import Splits

CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
BINARY_FILES = {"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)}
ROW = 1 + 3 * 1024


def read_cifar(root: Path) -> Splits:
    """Read CIFAR-10: the binary version, or `train.npz` and `test.npz` of JPEG files.

    Such an npz file holds `header`, the bytes that all files begin with; `bodies`, the rest of all
    files one after the other; `offsets`, where each begins and the last ends; and `labels`.

    Args:
        root: The folder of the files, or the one above `cifar-10-batches-bin`.

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If they are cut off, or pickles.
    """
    folder = root / "cifar-10-batches-bin" if (root / "cifar-10-batches-bin").is_dir() else root
    if (folder / "data_batch_1.bin").is_file():
        return {
            split: [record for name in names for record in _read_binary(folder / name)]
            for split, names in BINARY_FILES.items()
        }
    if (folder / "train.npz").is_file():
        return {split: _read_npz(folder / f"{split}.npz") for split in BINARY_FILES}
    for pickles in (root, root / "cifar-10-batches-py"):
        if (pickles / "data_batch_1").is_file():
            raise ValueError(
                f"{pickles} holds CIFAR-10 as Python pickles, which may run any code and are not opened; "
                "take the binary version (data_batch_1.bin ...)."
            )
    raise FileNotFoundError(
        f"there is no {folder / 'data_batch_1.bin'} and no train.npz; {beside(folder / 'x')}"
    )


def to_grey(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn red, green, blue in the last axis, 0 to 255, into grey as Long Range Arena does: rounded down."""
    weights = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)
    return np.floor(pixels.astype(np.float32) @ weights).astype(np.uint8)


def open_small(source: Path | bytes, where: str, mode: str) -> np.ndarray[Any, Any]:
    """Return the pixels of a picture of a data set of small ones.

    Args:
        source: The file, or its content.
        where: Its name, for messages.
        mode: "RGB", or "L" for grey.

    Raises:
        ValueError: If it is broken, of a format that is not read, or larger than any picture of these data.
    """
    decoded = decode(source, "picture", where=where, max_pixels=SMALL_PICTURE_PIXELS)
    return np.asarray(decoded.image.convert(mode))


def encode_grey(record: Record) -> Tensor:
    """Return the levels of a picture, int64 (1024,), row by row.

    Raises:
        ValueError: If the file of the picture is broken.
    """
    if isinstance(record.sequence, bytes):
        image = open_small(record.sequence, record.where, "RGB")
        if image.shape != (32, 32, 3):
            raise ValueError(f"{record.where} is {image.shape[1]} x {image.shape[0]}, not 32 x 32.")
        return torch.from_numpy(to_grey(image).astype(np.int64).ravel())
    assert isinstance(record.sequence, Tensor)
    return record.sequence.long()


def _read_binary(path: Path) -> list[Record]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; {beside(path)}")
    data = np.fromfile(path, np.uint8)
    if not len(data) or len(data) % ROW:
        raise ValueError(f"{path} has {len(data)} bytes, no multiple of {ROW}; it is cut off, copy it again.")
    rows = data.reshape(-1, ROW)
    pixels = torch.from_numpy(to_grey(rows[:, 1:].reshape(-1, 3, 1024).transpose(0, 2, 1)))
    if rows[:, 0].max() > 9:
        raise ValueError(f"{path} has the label {rows[:, 0].max()}, not 0 to 9; it is not CIFAR-10.")
    return [
        Record(image, CIFAR_CLASSES[label], f"{path}, picture {number}")
        for number, (image, label) in enumerate(zip(pixels, rows[:, 0].tolist(), strict=True))
    ]


def _read_npz(path: Path) -> list[Record]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; {beside(path)}")
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
    size = len(bodies)
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
    return [
        Record(header + bodies[start:stop], CIFAR_CLASSES[label], f"{path}, picture {number}")
        for number, (start, stop, label) in enumerate(
            zip(offsets.tolist(), offsets[1:].tolist(), labels.tolist(), strict=False)
        )
    ]
