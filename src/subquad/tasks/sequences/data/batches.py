"""Batches of sequences: collated, grouped by length, and an order that can be taken up anywhere.

The batch that training and data meet on is a dictionary:

    inputs   int64 tokens (batch, n), or float32 (batch, n, features); on the right filled up with the
             vocabulary's `pad_id`, or with 0
    lengths  int64 (batch,), positions that are not filled up
    targets  int64 (batch,) classes, or float32 (batch,) numbers; -100 or NaN, which no metric may
             count, where a process has fewer samples than another
    index    int64 (batch,), which sample of its split each one is
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from subquad.data.loading import TrainingOrder, in_batches
from subquad.tasks.sequences.data.samples import SequenceDataset, SequenceInfo, SequenceSample

IGNORED_CLASS = -100


class SequenceBatch(TypedDict):
    """See the head of this file."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    index: Tensor


class Collate:
    """Fill up sequences and stack them.

    Args:
        info: What is known of all of them.
        to_length: Whether every batch is as wide as the longest sequence of all.
    """

    def __init__(self, info: SequenceInfo, to_length: bool = False) -> None:
        self.info, self.to_length = info, to_length

    def __call__(self, samples: list[tuple[int, SequenceSample]]) -> SequenceBatch:
        """Make a batch of samples and their numbers; the number -1 means that a sample does not count."""
        info = self.info
        inputs = [sample.inputs for _, sample in samples]
        lengths = torch.tensor([len(sequence) for sequence in inputs])
        width = info.length if self.to_length else int(lengths.max())
        vocabulary = info.vocabulary
        filler = 0 if vocabulary is None or vocabulary.pad_id is None else vocabulary.pad_id
        padded = inputs[0].new_full((len(samples), width, *inputs[0].shape[1:]), filler)
        for row, sequence in zip(padded, inputs, strict=True):
            row[: len(sequence)] = sequence
        index = torch.tensor([number for number, _ in samples])
        kind = torch.int64 if info.task == "classification" else torch.float32
        targets = torch.tensor([sample.target for _, sample in samples], dtype=kind)
        targets[index < 0] = IGNORED_CLASS if info.task == "classification" else torch.nan
        return {"inputs": padded, "lengths": lengths, "targets": targets, "index": index}


class Numbered(Dataset[tuple[int, SequenceSample]]):
    """Samples with their numbers; the sample of a negative number -1 - i is sample i, not to be counted.

    Args:
        dataset: The samples.
    """

    def __init__(self, dataset: SequenceDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, SequenceSample]:
        return max(index, -1), self.dataset[index if index >= 0 else -1 - index]


def bucket_of(lengths: Tensor) -> Tensor:
    """Return the bucket of each length, int64: the exponent of the power of two that it fits into."""
    return torch.frexp((lengths.clamp_min(1) - 1).double()).exponent.long()


class BucketOrder(TrainingOrder):
    """Batches of an epoch: shuffled by (seed, epoch), of like length, shared among processes.

    Lengths of a batch have the same power of two above them. What is left of the buckets is batched in
    the order of its length; as many samples as do not fill a batch sit out, others in each epoch.

    Args:
        lengths: Positions of each sample, (samples,), or their number: then all are in one bucket.
        batch_size: For each process.
        seed: Decides the order.
        rank: Of this process.
        processes: Their number; all get batches of the same bucket at the same time.

    Raises:
        ValueError: If the samples do not fill one batch.
    """

    def __init__(
        self, lengths: Tensor | int, batch_size: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.buckets = torch.zeros(lengths) if isinstance(lengths, int) else bucket_of(lengths)
        super().__init__(len(self.buckets), batch_size, seed, rank, processes)

    def arranged(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """Return whole batches of each bucket and those of what is left, in random order."""
        step = self.batch_size * self.processes
        whole, left = [], []
        for bucket in self.buckets[order].unique().tolist():
            members = order[self.buckets[order] == bucket]
            full = len(members) // step * step
            whole.append(members[:full])
            left.append(members[full:])
        batches = torch.cat([*whole, *left]).view(self.batches, step)
        return batches[torch.randperm(self.batches, generator=generator)]

    def key(self, index: int) -> int:
        """Return the index alone: sequences are the same in each epoch."""
        return index


class EvaluationOrder(Sampler[list[int]]):
    """Batches of one process's share, from short to long; the shares are equally long.

    Where the samples do not divide evenly, some processes get a sample of a negative number.

    Args:
        lengths: Positions of each sample, (samples,), or their number: then they stay in order.
        batch_size: For each process.
        rank: Of this process.
        processes: Their number.
    """

    def __init__(self, lengths: Tensor | int, batch_size: int, rank: int = 0, processes: int = 1) -> None:
        order = torch.arange(lengths) if isinstance(lengths, int) else lengths.argsort(stable=True)
        missing = -len(order) % processes
        order = torch.cat([order, -1 - order[torch.arange(missing) % max(len(order), 1)]])
        self.share: list[int] = order[rank::processes].tolist()
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.share) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        yield from in_batches(self.share, self.batch_size)
