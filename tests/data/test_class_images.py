"""Pictures with classes: files as they are distributed, and ImageNet's crop."""

import gzip
import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hamgan_data import CLASSES, write_cifar10, write_class_folder, write_fashion_mnist, write_idx
from subquad.data.class_images import (
    ClassFolder,
    ClassImageOptions,
    centre_square,
    cifar10,
    fashion_mnist,
    open_class_images,
)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_fashion_mnist_is_padded_not_resampled(tmp_path, suffix):
    pixels = write_fashion_mnist(tmp_path, suffix=suffix)
    split = fashion_mnist(tmp_path, "train")
    assert (len(split), split.channels, split.side, len(split.class_names)) == (40, 1, 32, 10)
    images = split.pictures([3, 7])
    assert images.dtype == torch.float32 and images.shape == (2, 1, 32, 32)
    inner = (images[:, 0, 2:30, 2:30] + 1) * 255 / 2
    assert torch.equal(inner.round(), torch.from_numpy(pixels[[3, 7]]).float())
    border = images.clone()
    border[:, :, 2:30, 2:30] = -1
    assert torch.equal(border, torch.full_like(border, -1))
    assert split.classes.tolist() == [i % 10 for i in range(40)]
    assert len(fashion_mnist(tmp_path, "val")) == len(fashion_mnist(tmp_path, "test")) == 20


def test_cifar10_in_binary_and_as_jpeg(tmp_path):
    rows = write_cifar10(tmp_path / "cifar-10-batches-bin")
    split = cifar10(tmp_path, "train")
    assert (len(split), split.channels, split.side) == (50, 3, 32)
    expected = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32)).float() * 2 / 255 - 1
    assert torch.equal(split.pictures(range(10)), expected)
    bodies, offsets = b"", [0]
    for row in rows:
        buffer = io.BytesIO()
        Image.fromarray(row[1:].reshape(3, 32, 32).transpose(1, 2, 0)).save(buffer, "png")
        bodies += buffer.getvalue()[8:]
        offsets.append(len(bodies))
    npz = tmp_path / "npz"
    npz.mkdir()
    head = np.frombuffer(b"\x89PNG\r\n\x1a\n", np.uint8)
    np.savez(npz / "train.npz", header=head, bodies=np.frombuffer(bodies, np.uint8), offsets=offsets,
             labels=rows[:, 0])  # fmt: skip
    assert torch.equal(cifar10(npz, "train").pictures(range(10)), expected)
    for wrong in (offsets[:-1], [*offsets[:-1], offsets[-1] - 1], [0, *offsets[:0:-1]]):
        np.savez(npz / "train.npz", header=head, bodies=np.frombuffer(bodies, np.uint8), offsets=wrong,
                 labels=rows[:, 0])  # fmt: skip
        with pytest.raises(ValueError, match=r"train.npz has 10 labels, 1[01] offsets and .* do not belong"):
            cifar10(npz, "train")


@pytest.mark.data
def test_the_shared_sets_are_read(shared_data):
    split = fashion_mnist(None, "test")
    assert torch.bincount(split.classes).tolist() == [1000] * 10
    assert float((split.pixels[:, :, 2:30, 2:30] / 255).mean()) == pytest.approx(0.2868, abs=2e-3)


def test_the_square_is_the_middle_and_its_corners_stay():
    image = torch.randn(2, 7, 12)
    top, left = 0, math.ceil(5 / 2)
    square = image[:, top : top + 7, left : left + 7]
    assert torch.equal(centre_square(image, 7), square)
    larger, smaller = centre_square(image, 13), centre_square(image, 4)
    assert torch.allclose(larger[:, ::2, ::2], square)  # every second sample is a pixel's own centre
    assert torch.allclose(smaller, square[:, ::2, ::2])  # and nothing is smoothed
    assert torch.allclose(larger[:, 0, 1], (square[:, 0, 0] + square[:, 0, 1]) / 2)


def test_a_class_folder_is_read(tmp_path):
    write_class_folder(tmp_path)
    split = ClassFolder(tmp_path, "train", side=16)
    assert split.class_names == tuple(CLASSES) and len(split) == 18
    images = split.pictures([0, 6, 12])
    assert images.shape == (3, 3, 16, 16) and images.min() >= -1 and images.max() <= 1
    assert (images.mean(dim=(1, 2, 3)).diff() > 0.3).all()
    grey = ClassFolder(tmp_path, "train", side=16, channels=1)
    assert grey.pictures([0]).shape == (1, 1, 16, 16)
    alone = ClassFolder(tmp_path / "train", "val", side=16)
    assert torch.equal(alone.pictures([0]), images[:1])


def test_a_class_without_pictures_is_said(tmp_path):
    write_class_folder(tmp_path)
    (tmp_path / "train" / "fish").mkdir()
    with pytest.raises(ValueError, match=r"no picture of 'fish' in .*train; add pictures"):
        ClassFolder(tmp_path, "train", side=16)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((5, 28, 28), np.uint8))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.arange(5, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"no picture of 'Sandal', 'Shirt', 'Sneaker' and 2 more in"):
        fashion_mnist(tmp_path, "test")


def test_wrong_files_are_said(tmp_path, monkeypatch):
    monkeypatch.delenv("SUBQUAD_DATA", raising=False)
    with pytest.raises(ValueError, match="fashion_mnist does not know where the data are; give --data.root"):
        fashion_mnist(None, "train")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        cifar10(tmp_path / "nowhere", "train")
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte, nor with .gz or .xz"):
        fashion_mnist(tmp_path, "train")
    with pytest.raises(FileNotFoundError, match=r"no .*data_batch_1.bin and no .*train.npz"):
        cifar10(tmp_path, "train")
    with pytest.raises(ValueError, match="no split 'dev'"):
        cifar10(tmp_path, "dev")
    write_fashion_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="cannot be unpacked"):
        fashion_mnist(tmp_path, "train")
    write_idx(path.with_suffix(""), np.zeros((4, 28, 28), np.uint8))
    path.with_suffix("").write_bytes(path.with_suffix("").read_bytes()[:-1])
    with pytest.raises(ValueError, match="no IDX file of bytes with 3 axes, or cut off"):
        fashion_mnist(tmp_path, "train")
    path.with_suffix("").write_bytes(b"\0\0\x08\3\0")
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is no IDX file of bytes with 3 axes"):
        fashion_mnist(tmp_path, "train")
    (tmp_path / "data_batch_1").touch()
    with pytest.raises(ValueError, match="pickles, which may run any code"):
        cifar10(tmp_path, "train")
    with pytest.raises(FileNotFoundError, match=r"no folder .*val; there is train"):
        ClassFolder(write_class_folder(tmp_path / "one", splits=("train",)), "val", side=8)


def test_grey_or_colour_and_sizes_that_do_not_fit_are_said(tmp_path):
    write_fashion_mnist(tmp_path)
    options = ClassImageOptions("fashion_mnist", str(tmp_path))
    with pytest.raises(ValueError, match=r"grey pictures of 32 x 32 \(1 channel.*but 3 channel.*of 64 x 64"):
        open_class_images(options, "train", side=64, channels=3)
    assert len(open_class_images(options, "train", side=32, channels=1)) == 40
    with pytest.raises(ValueError, match="give --data.root"):
        open_class_images(ClassImageOptions(), "train", side=32, channels=3)
    with pytest.raises(ValueError, match="unknown data set 'mnist'"):
        ClassImageOptions("mnist")
    with pytest.raises(ValueError, match="data.batch_size must be at least 1, got 0"):
        ClassImageOptions(batch_size=0)


def test_files_that_unpack_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("class_images.files", "cifar"):
        monkeypatch.setattr(f"subquad.data.{module}.CLASS_IMAGES_BYTES", 1000)
    for folder in ("fashion", "cifar"):
        (tmp_path / folder).mkdir()
    with gzip.open(tmp_path / "fashion" / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(bytes(2000))
    with pytest.raises(ValueError, match="unpacks to more than 1,000 bytes"):
        fashion_mnist(tmp_path / "fashion", "train")
    np.savez_compressed(tmp_path / "cifar" / "train.npz", bodies=np.zeros(2000, np.uint8))
    with pytest.raises(ValueError, match="unpacks to more than 1,000 bytes"):
        cifar10(tmp_path / "cifar", "train")
