"""Packed CIFAR-10 that is cut off, or another thing than it says."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from subquad.tasks.sequences.data import SequenceOptions, open_sequences
from subquad.tasks.sequences.data.grey import encode_grey
from subquad.tasks.sequences.data.samples import Record

HEAD = np.frombuffer(b"\x89PNG\r\n\x1a\n", np.uint8)


@pytest.mark.parametrize(
    ("offsets", "labels", "message"),
    [
        (
            [0, 2, 4],
            [1, 2, 3, 4],
            "has 4 labels, 3 offsets and 4 bytes of bodies, which do not belong together",
        ),
        ([0, 2, 3], [1, 2], "do not belong together"),
        ([1, 2, 4], [1, 2], "do not belong together"),
        ([0, 5, 4], [1, 2], "do not belong together"),
        ([0, 2, 4], [1, 10], "has labels from 1 to 10, not 0 to 9"),
        ([0, 2, 4], [-1, 2], "has labels from -1 to 2"),
        ([0.0, 2.0, 4.0], [1, 2], "cannot be read"),
    ],
)
def test_packed_cifar_that_does_not_belong_together(
    offsets: list[float], labels: list[int], message: str, tmp_path: Path
) -> None:
    arrays = {"header": HEAD, "bodies": HEAD[:4], "offsets": np.array(offsets), "labels": np.array(labels)}
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        open_sequences(SequenceOptions("image", str(tmp_path)))


def test_packed_pictures_have_the_size_and_the_format_of_the_set(tmp_path: Path) -> None:
    for size, kind, message in (
        ((32, 33), "PNG", "is 32 x 33, not 32 x 32"),
        ((32, 32), "GIF", "picture a.npz, picture 0 cannot be decoded"),
    ):
        file = io.BytesIO()
        Image.new("RGB", size).save(file, kind)
        with pytest.raises(ValueError, match=message):
            encode_grey(Record(file.getvalue(), "cat", "a.npz, picture 0"))


def test_a_packed_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "train.npz", bodies=np.zeros(100_000, np.uint8))
    monkeypatch.setattr("subquad.data.cifar.CLASS_IMAGES_BYTES", 10_000)
    monkeypatch.setattr(np, "load", None)
    with pytest.raises(ValueError, match="train.npz cannot be read .it unpacks to more than 10,000 bytes"):
        open_sequences(SequenceOptions("image", str(tmp_path)))
