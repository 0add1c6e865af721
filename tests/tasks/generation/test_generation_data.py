"""Batches of pictures with classes: an order that can be resumed, and evaluations that show each once."""

import pytest
import torch

from hamgan_data import write_class_folder
from subquad.data.class_images import ClassFolder, PicturesInMemory
from subquad.tasks.generation.data.module import ClassImageData


def numbered(count=10, classes=2):
    """Return pictures whose value tells their number."""
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    return PicturesInMemory(pixels, torch.arange(count) % classes, ("a", "b"), "numbers")


@pytest.mark.parametrize("workers", [0, 1])
def test_training_continues_where_it_was(workers):
    whole = ClassImageData(numbered(), numbered(), batch_size=3, seed=5).train_dataloader()
    batches = []
    for epoch in (0, 1):
        whole.order.set_epoch(epoch)
        batches += [(whole.state_dict(), batch) for batch in whole]
    assert len(batches) == 6
    assert not torch.equal(batches[0][1]["index"], batches[3][1]["index"])
    data = ClassImageData(numbered(), numbered(), batch_size=3, seed=5, workers=workers)
    data.load_state_dict(batches[1][0])
    resumed = data.train_dataloader()
    for (_, expected), actual in zip(batches[2:3], resumed, strict=True):
        assert all(torch.equal(expected[name], actual[name]) for name in expected)
    for _, batch in batches:
        assert torch.equal(((batch["image"][:, 0, 0, 0] + 1) * 127.5).round().long(), batch["index"])
        assert torch.equal(batch["label"], batch["index"] % 2)


def test_evaluation_shows_each_picture_once_and_mixed(monkeypatch):
    data = ClassImageData(None, numbered(), eval_batch_size=4)
    index = torch.cat([batch["index"] for batch in data.val_dataloader()])
    assert sorted(index.tolist()) == list(range(10)) and index.tolist() != list(range(10))
    seen = []
    for rank in range(3):
        monkeypatch.setattr(data, "_place", lambda rank=rank: (rank, 3))
        mine = torch.cat([batch["index"] for batch in data.val_dataloader()])
        assert len(mine) == 4
        seen += mine.tolist()
    assert sorted(seen) == [-1, -1, *range(10)]


def test_splits_of_other_classes_are_said(tmp_path):
    write_class_folder(tmp_path)
    (tmp_path / "val" / "dog").rename(tmp_path / "val" / "wolf")
    splits = [ClassFolder(tmp_path, name, side=8) for name in ("train", "val")]
    with pytest.raises(ValueError, match=r"\['dog', 'wolf'\] are in one of them only"):
        ClassImageData(*splits)
    with pytest.raises(ValueError, match="no training set"):
        ClassImageData(None, splits[0]).train_dataloader()
