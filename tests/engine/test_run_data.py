"""What a task gives to its data module, and what it gets for it."""

import pytest
import torch
from torch.utils.data import Dataset

from subquad.data.loading import FILLER, Batches, TrainingOrder, even_share, in_batches
from subquad.engine.data import RunData


class Squares(Dataset[int]):
    """Squares of (epoch, index)."""

    def __len__(self):
        return 10

    def __getitem__(self, key):
        return key[1] ** 2


class SquareData(RunData[Squares]):
    """All that a new task has to write."""

    def training_batches(self, dataset, rank, processes):
        order = TrainingOrder(len(dataset), self.batch_size, self.seed, rank, processes)
        return Batches(dataset, order, torch.tensor)

    def evaluation_batches(self, dataset, rank, processes):
        keys = [(0, index) for index in even_share(range(len(dataset)), rank, processes)]
        return Batches(dataset, in_batches(keys, self.eval_batch_size), torch.tensor)


def squares(**splits):
    return SquareData(splits or {"train": Squares()}, batch_size=3, eval_batch_size=4)


def test_training_goes_on_where_it_was():
    data = squares()
    assert data.state_dict() == {}
    batches = iter(data.train_dataloader())
    next(batches)
    position = data.state_dict()
    assert position == {"epoch": 0, "batch": 1}
    again = squares()
    again.load_state_dict(position)
    assert torch.equal(torch.stack(list(again.train_dataloader())), torch.stack(list(batches)))


def test_processes_share_what_is_evaluated_in_order(monkeypatch):
    data = squares(val=Squares())
    assert [len(batch) for batch in data.val_dataloader()] == [4, 4, 2]
    monkeypatch.setattr(data, "_place", lambda: (1, 2))
    assert torch.cat(list(data.val_dataloader())).tolist() == [1, 9, 25, 49, 81]


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7, 12])
def test_shares_are_equally_long_and_hold_each_sample_once(processes):
    shares = [even_share(range(10), rank, processes) for rank in range(processes)]
    assert {len(share) for share in shares} == {-(-10 // processes)}
    assert sorted(index for share in shares for index in share if index != FILLER) == list(range(10))


def test_sets_that_are_not_there_are_said():
    data = squares(train=None, val=Squares())
    assert data.datasets.keys() == {"val"}
    with pytest.raises(ValueError, match="no training set"):
        data.train_dataloader()
    with pytest.raises(ValueError, match="no test set"):
        data.test_dataloader()
    with pytest.raises(ValueError, match="eval_batch_size must be at least 1, got 0"):
        SquareData({}, batch_size=1, eval_batch_size=0)
