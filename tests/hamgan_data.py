"""Tiny data sets of pictures with classes, and the options of a tiny HamGAN."""

import gzip
import lzma
import struct

import numpy as np
from PIL import Image

CLASSES = ["bird", "cat", "dog"]
TINY = [
    "--model.name=hamgan_baby", "--model.size=32", "--model.width=2", "--model.latent=8",
    "--model.generator_rank=4", "--model.discriminator_rank=4", "--data.batch_size=4",
    "--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1",
]  # fmt: skip


def write_class_folder(root, classes=CLASSES, count=6, size=(40, 34), splits=("train", "val")):
    """Write pictures of noise, each class of its own brightness."""
    rng = np.random.default_rng(0)
    for split in splits:
        for number, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 60, (*size, 3)) + 60 * number
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{index}.png")
    return root


def write_idx(path, array):
    """Write bytes as an IDX file, packed as the suffix says."""
    content = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()
    pack = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(content))


def write_fashion_mnist(root, train=40, test=20, suffix=".gz"):
    """Write both splits, picture i of class i % 10; returns the training pictures."""
    rng = np.random.default_rng(1)
    kept = None
    for start, count in (("train", train), ("t10k", test)):
        pixels = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        write_idx(root / f"{start}-images-idx3-ubyte{suffix}", pixels)
        write_idx(root / f"{start}-labels-idx1-ubyte{suffix}", (np.arange(count) % 10).astype(np.uint8))
        kept = pixels if kept is None else kept
    return kept


def write_cifar10(root, count=10):
    """Write the binary version, picture i of a file of class i % 10; returns the first file's rows."""
    rng = np.random.default_rng(2)
    root.mkdir(parents=True, exist_ok=True)
    first = None
    for name in [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]:
        rows = rng.integers(0, 256, (count, 3073)).astype(np.uint8)
        rows[:, 0] = np.arange(count) % 10
        rows.tofile(root / name)
        first = rows if first is None else first
    return first
