"""Batches: padding, buckets, shares of processes, and taking up an epoch in the middle."""

from collections import Counter
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor, nn

from subquad.tasks.sequences.data import (
    BYTES,
    BucketOrder,
    Collate,
    EvaluationOrder,
    SequenceData,
    SequenceInfo,
    SequenceOptions,
    SequenceSample,
    open_sequences,
)
from subquad.tasks.sequences.data.batches import Numbered, bucket_of

LENGTHS = torch.randint(1, 3000, (1003,), generator=torch.Generator().manual_seed(0))


def words(path: Path, rows: int = 60) -> str:
    lines = [f"{'ab'[n % 2] * (1 + n * n % 40)}{n},{'xy'[n % 2]}" for n in range(rows)]
    path.write_text("sequence,label\n" + "\n".join(lines) + "\n")
    return str(path)


def test_tokens_are_padded_on_the_right() -> None:
    collate = Collate(SequenceInfo("classification", 6, ("a", "b", "c"), BYTES))
    samples = [(7, SequenceSample(torch.tensor([1, 2, 3]), 2)), (-1, SequenceSample(torch.tensor([4]), 1))]
    batch = collate(samples)
    assert batch["inputs"].tolist() == [[1, 2, 3], [4, 256, 256]] and batch["inputs"].dtype == torch.int64
    assert batch["lengths"].tolist() == [3, 1] and batch["lengths"].dtype == torch.int64
    assert batch["targets"].tolist() == [2, -100] and batch["targets"].dtype == torch.int64
    assert batch["index"].tolist() == [7, -1]
    assert Collate(collate.info, to_length=True)(samples)["inputs"].shape == (2, 6)


def test_numbers_are_padded_with_zeros() -> None:
    collate = Collate(SequenceInfo("regression", 4, in_features=2))
    batch = collate([(0, SequenceSample(torch.ones(1, 2), 0.5)), (-1, SequenceSample(torch.ones(2, 2), 1.5))])
    assert batch["inputs"].tolist() == [[[1, 1], [0, 0]], [[1, 1], [1, 1]]]
    assert (
        batch["targets"].dtype == torch.float32 and batch["targets"][0] == 0.5 and batch["targets"][1].isnan()
    )


def test_buckets_are_powers_of_two() -> None:
    lengths = torch.tensor([0, 1, 2, 3, 4, 5, 8, 9, 1024, 1025, 2**24, 2**24 + 1])
    expected = [max(int(n) - 1, 0).bit_length() for n in lengths]
    assert bucket_of(lengths).tolist() == expected == [0, 0, 1, 2, 2, 3, 3, 4, 10, 11, 24, 25]


@pytest.mark.parametrize("processes", [1, 3])
def test_buckets_bound_padding_and_use_each_sample_once(processes: int) -> None:
    orders = [BucketOrder(LENGTHS, 8, 5, rank, processes) for rank in range(processes)]
    shares = [list(order) for order in orders]
    assert all(
        len(share) == len(order) == 1003 // (8 * processes)
        for share, order in zip(shares, orders, strict=True)
    )
    used = [index for share in shares for batch in share for index in batch]
    assert len(set(used)) == len(used) == 1003 // (8 * processes) * 8 * processes
    mixed = 0
    for batches in zip(*shares, strict=True):
        assert all(len(batch) == 8 for batch in batches)
        mixed += len({(int(LENGTHS[i]) - 1).bit_length() for batch in batches for i in batch}) > 1
    assert mixed <= 12  # what is left of each of the buckets
    width = sum(8 * max(int(LENGTHS[i]) for i in batch) for batch in shares[0])
    assert width < 1.5 * sum(int(LENGTHS[i]) for batch in shares[0] for i in batch)


def test_order_is_a_function_of_seed_and_epoch() -> None:
    order, again, other = BucketOrder(LENGTHS, 8, 5), BucketOrder(LENGTHS, 8, 5), BucketOrder(LENGTHS, 8, 6)
    first = list(order)
    assert first == list(order) == list(again) != list(other)
    again.set_epoch(1)
    second = list(again)
    assert second != first and {i for b in first for i in b} != {i for b in second for i in b}
    sizes = [sum(int(LENGTHS[i]) for i in batch) for batch in first]
    assert sizes != sorted(sizes) and sizes[0] != min(sizes)
    order.first = 20
    assert list(order) == first[20:]
    with pytest.raises(
        ValueError, match=r"training has 1003 .* of 600 for 2 .* lower batch_size \(--data.batch_size\)"
    ):
        BucketOrder(LENGTHS, 600, 0, 0, 2)


@pytest.mark.parametrize("processes", [1, 4])
def test_evaluation_counts_each_sample_once(processes: int) -> None:
    shares = [list(EvaluationOrder(LENGTHS, 16, rank, processes)) for rank in range(processes)]
    assert len({sum(map(len, share)) for share in shares}) == 1
    indices = [index for share in shares for batch in share for index in batch]
    assert sorted(index for index in indices if index >= 0) == list(range(1003))
    assert len(indices) == -(-1003 // processes) * processes
    assert list(EvaluationOrder(5, 2)) == [[0, 1], [2, 3], [4]] and len(EvaluationOrder(5, 2)) == 3
    assert list(EvaluationOrder(5, 3, 1, 2)) == [[1, 3, -1]]


def test_more_processes_than_samples() -> None:
    shares = [list(EvaluationOrder(torch.tensor([5, 3]), 4, rank, 5)) for rank in range(5)]
    assert all(len(share) == 1 and len(share[0]) == 1 for share in shares)
    assert Counter(batch[0] >= 0 for share in shares for batch in share) == {True: 2, False: 3}


def test_a_sample_that_does_not_count() -> None:
    data = open_sequences(SequenceOptions("order", length=8, samples=4))["train"]
    number, sample = Numbered(data)[-3]
    assert number == -1 and torch.equal(sample.inputs, data[2].inputs)


def test_loaders_do_not_depend_on_workers(tmp_path: Path) -> None:
    file = words(tmp_path / "a.csv")
    batches: list[list[dict[str, Tensor]]] = []
    for workers in (0, 2):
        data = SequenceData(SequenceOptions(file=file, batch_size=4, eval_batch_size=3, workers=workers))
        batches.append([dict(b) for b in data.train_dataloader()] + [dict(b) for b in data.val_dataloader()])
    for one, other in zip(*batches, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("inputs", "lengths", "targets", "index"))
    for batch in batches[0]:
        for row, length in zip(batch["inputs"], batch["lengths"], strict=True):
            assert (row[length:] == data.pad_id).all() and not (row[:length] == data.pad_id).any()


def test_what_a_network_must_know(tmp_path: Path) -> None:
    data = SequenceData(SequenceOptions(file=words(tmp_path / "a.csv"), cls=True, length=20, pad="length"))
    assert (data.task, data.num_classes, data.class_names) == ("classification", 2, ("x", "y"))
    assert data.vocabulary is not None and data.vocab_size == len(data.vocabulary) == 15
    assert (data.in_features, data.length, data.pad_id, data.cls) == (None, 21, 13, True)
    batch = next(iter(data.train_dataloader()))
    assert batch["inputs"].shape == (32, 21) and (batch["inputs"][:, 0] == 14).all()
    adding = SequenceData(SequenceOptions("adding", length=16, cls=True, samples=32, eval_samples=3))
    assert (adding.task, adding.num_classes, adding.vocab_size, adding.pad_id) == (
        "regression",
        None,
        None,
        None,
    )
    assert (adding.in_features, adding.length) == (2, 17)
    batch = next(iter(adding.train_dataloader()))
    assert batch["inputs"].shape == (32, 17, 2) and not batch["inputs"][:, 0].any()
    assert [len(b["targets"]) for b in adding.test_dataloader()] == [3]
    only = SequenceData(SequenceOptions(file=words(tmp_path / "a.csv"), test_fraction=0))
    with pytest.raises(ValueError, match=r"no test split; give test_file \(--data.test_file\)"):
        only.predict_dataloader()


class Remember(lightning.LightningModule):
    """Notes which samples it saw."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__()
        self.weight, self.seen, self.stop = nn.Parameter(torch.zeros(())), [], stop

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        self.seen.append(batch["index"].tolist())
        return self.weight * batch["lengths"].sum()

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        assert batch["targets"].min() >= 0

    def on_train_batch_end(self, *_: Any) -> None:
        if self.stop is not None and self.trainer.global_step == self.stop:
            self.trainer.save_checkpoint(self.trainer.default_root_dir + "/middle.ckpt")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches == 32  # makes the loader early, as schedules do
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.parametrize("stop", [5, 16, 20])
def test_a_run_resumes_in_the_middle_of_an_epoch(stop: int, tmp_path: Path) -> None:
    def fit(module: Remember, checkpoint: str | None = None) -> list[list[int]]:
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            default_root_dir=str(tmp_path),
            use_distributed_sampler=False,
        )
        trainer.fit(module, SequenceData(options), ckpt_path=checkpoint, weights_only=False)
        return module.seen

    options = SequenceOptions(file=words(tmp_path / "a.csv", 80), batch_size=4)
    whole = fit(Remember(stop))
    assert len(whole) == 32 and whole[:16] != whole[16:]
    resumed = fit(Remember(), str(tmp_path / "middle.ckpt"))
    assert resumed == whole[stop:]
