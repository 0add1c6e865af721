"""Masks that NumPy wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subquad.data.decoding import TooManyPixelsError
from subquad.tasks.segmentation.data.check import check_folder
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.data.masks import read_mask

LABELS = LabelSet(("a", "b", "c"), ((0, 0, 0), (9, 9, 9), (200, 0, 0)))
MASK = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_whole_numbers(tmp_path: Path, dtype: Any) -> None:
    np.save(tmp_path / "a.npy", MASK.astype(dtype))
    assert (read_mask(tmp_path / "a.npy", LABELS).numpy() == MASK).all()
    np.save(tmp_path / "a.NPY.npy", MASK.astype(dtype)[..., None])
    assert (read_mask(tmp_path / "a.NPY.npy", LABELS).numpy() == MASK).all()


def test_colours_truth_values_and_minus_one(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([LABELS.palette], np.uint8))
    assert read_mask(tmp_path / "a.npy", LABELS).tolist() == [[0, 1, 2]]
    np.save(tmp_path / "a.npy", np.array([[True, False]]))
    assert read_mask(tmp_path / "a.npy", LABELS).tolist() == [[1, 0]]
    np.save(tmp_path / "a.npy", np.array([[-1, 1]], np.int8))
    assert read_mask(tmp_path / "a.npy", LABELS).tolist() == [[255, 1]]


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 2), np.float32), r"is an array of float32 \(2, 2\), which is no mask"),
        (np.zeros((2, 2, 2), np.uint8), "which is no mask"),
        (np.zeros((0, 3), np.uint8), "which is no mask"),
        (np.array([[3]], np.uint8), "holds value 3, but the classes are 0..2"),
        (np.array([[-2]]), "holds value -2"),
        (np.array([[{}]], dtype=object), "cannot be decoded"),
    ],
)
def test_other_arrays_are_one_sentence(tmp_path: Path, array: Any, sentence: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=sentence):
        read_mask(tmp_path / "a.npy", LABELS)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\3\4", b"\x93NUMPY\1\0\x06\0{'a':\n"])
def test_broken_files_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"a.npy cannot be decoded .*; copy it again"):
        read_mask(tmp_path / "a.npy", LABELS)


def test_a_header_that_asks_for_too_much(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", MASK)
    with pytest.raises(TooManyPixelsError, match="6 pixels and more than the 5"):
        read_mask(tmp_path / "a.npy", LABELS, 5)
    with (tmp_path / "a.npy").open("wb") as file:
        told = {"descr": "|u1", "fortran_order": False, "shape": (10**7, 10**7)}
        np.lib.format.write_array_header_1_0(file, told)
    with pytest.raises(ValueError, match="a.npy cannot be decoded"):
        read_mask(tmp_path / "a.npy", LABELS)


def test_a_folder_of_arrays(save: Callable[..., Path], tmp_path: Path) -> None:
    save("images/a.png", np.zeros((2, 3, 3), np.uint8))
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "a.npy", MASK)
    data = SegmentationFolder(tmp_path, classes=LABELS)
    assert (data[0].labels.numpy() == MASK).all() and data.remarks == ()
    report = check_folder(tmp_path, classes=LABELS)
    assert report.ok and report.splits[0].values[2] == 2
    # Beside pictures of masks, arrays are copies: they are said and left out, as before.
    save("masks/a.png", MASK)
    data = SegmentationFolder(tmp_path, classes=LABELS)
    assert data.pairs[0][1].suffix == ".png" and "'a.npy'" in data.remarks[0]
