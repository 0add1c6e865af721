"""CIFAR-10 for every task: what a file holds, and what is missing."""

import numpy as np
import pytest

from hamgan_data import write_cifar10
from subquad.data.cifar import read_cifar


def test_a_binary_file_is_its_rows(tmp_path):
    rows = write_cifar10(tmp_path / "cifar-10-batches-bin")
    files = read_cifar(tmp_path, "train")
    assert len(files) == 5 and files[0].classes == rows[:, 0].tolist()
    assert np.array_equal(files[0].pixels(), rows[:, 1:].reshape(-1, 3, 32, 32))
    assert files[1].where(7).endswith("data_batch_2.bin, picture 7")


def test_the_file_that_is_missing_is_named(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"no .*data_batch_4.bin and no train.npz; .* holds data"):
        read_cifar(tmp_path, "train")
    assert len(read_cifar(tmp_path, "test")) == 1


def test_a_label_of_no_class_is_refused(tmp_path):
    rows = write_cifar10(tmp_path)
    rows[3, 0] = 10
    rows.tofile(tmp_path / "test_batch.bin")
    with pytest.raises(ValueError, match="test_batch.bin has the label 10, not 0 to 9; it is not CIFAR-10"):
        read_cifar(tmp_path, "test")
