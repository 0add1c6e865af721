"""Loading: seeded samples, batches, and an order of training that can be taken up anywhere.

The batch that training and evaluation meet on is a dictionary:

    image   uint8 (batch, 3, H, W), RGB, not normalised: the network's configuration knows how
    labels  uint8 (batch, H, W), class indices; 255 is ignored
    name    list of str, one a sample
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from subquad.base.interruption import outlive
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.labels import SegmentationDataset

Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Key = tuple[int, int]  # epoch, index


class SegmentationBatch(TypedDict):
    """See the head of this file."""

    image: Tensor
    labels: Tensor
    name: list[str]


def mix_seed(*parts: int) -> int:
    """Return a seed that depends on all parts, in 0 .. 2^63 - 1."""
    state = 0x9E3779B97F4A7C15
    for part in parts:  # splitmix64: neighbouring parts give unrelated seeds
        state = (state + part + 0x9E3779B97F4A7C15) % 2**64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
        state ^= state >> 31
    return state >> 1


class TrainingSamples(Dataset[dict[str, Any]]):
    """Transformed samples whose randomness depends on (seed, epoch, index) alone.

    Not on the worker or the process that loads them, nor on what was loaded before: so a resumed
    run, or one with another number of workers, sees the same pictures.
    """

    def __init__(self, dataset: SegmentationDataset, transform: Transform, seed: int) -> None:
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, index = key
        sample = self.dataset[index]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix_seed(self.seed, epoch, index))
            image, labels = self.transform(sample.image, sample.labels)
        return {"image": image, "labels": labels, "name": sample.name}


class EvaluationSamples(Dataset[dict[str, Any]]):
    """One process's share of a data set, in order, as long as every other process's.

    Where the samples do not divide evenly, some processes get a sample whose labels are all
    ignored: it changes no metric.
    """

    def __init__(self, dataset: SegmentationDataset, transform: Transform, rank: int, processes: int) -> None:
        self.dataset, self.transform, self.rank, self.processes = (
            dataset,
            transform,
            rank,
            processes,
        )

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.processes)

    def __getitem__(self, position: int) -> dict[str, Any]:
        index = position * self.processes + self.rank
        is_filler = index >= len(self.dataset)
        sample = self.dataset[0 if is_filler else index]
        image, labels = self.transform(sample.image, sample.labels)
        if is_filler:
            labels = torch.full_like(labels, IGNORE_INDEX)
        return {"image": image, "labels": labels, "name": sample.name}


def count_batches(length: int, batch_size: int, processes: int = 1) -> int:
    """Return the batches of an epoch for each process; the last, smaller batch is left out.

    Raises:
        ValueError: If there is none.
    """
    batches = length // (batch_size * processes)
    if batches == 0:
        raise ValueError(
            f"the training set has {length} samples, fewer than one batch of {batch_size} for "
            f"{processes} process(es); lower --data.batch_size."
        )
    return batches


class TrainingOrder(Sampler[list[Key]]):
    """Batches of an epoch: shuffled by (seed, epoch), shared among processes, from `first` on."""

    def __init__(self, length: int, batch_size: int, seed: int, rank: int, processes: int) -> None:
        self.batches = count_batches(length, batch_size, processes)
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.processes = rank, processes
        self.epoch, self.first = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; a new one starts at its first batch."""
        if epoch != self.epoch:
            self.epoch, self.first = epoch, 0

    @property
    def sampler(self) -> TrainingOrder:
        """Itself: this is where Lightning looks for `set_epoch`."""
        return self

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, self.epoch))
        order = torch.randperm(self.length, generator=generator)
        used = order[: self.batches * self.batch_size * self.processes]
        mine = used.view(self.batches, self.batch_size, self.processes)[:, :, self.rank].tolist()
        for batch in mine[self.first :]:
            yield [(self.epoch, index) for index in batch]


class TrainingLoader(DataLoader[dict[str, Any]]):
    """A loader that remembers where it is, so that a run resumes in the middle of an epoch.

    `SegmentationData` keeps its position in each checkpoint.
    """

    def __init__(self, samples: TrainingSamples, order: TrainingOrder, workers: int) -> None:
        super().__init__(
            samples,
            batch_sampler=order,
            num_workers=workers,
            worker_init_fn=outlive,
            collate_fn=collate,
            persistent_workers=workers > 0,
        )
        self.order = order
        self._handed_out = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[dict[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._handed_out = self.order.first
        for batch in super().__iter__():
            self._handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the position: epoch and batches handed out."""
        return {"epoch": self.order.epoch, "batch": self._handed_out}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to a position of `state_dict`."""
        finished = state["batch"] >= len(self)
        self.order.epoch = state["epoch"] + finished
        self.order.first = 0 if finished else state["batch"]


def collate(samples: list[dict[str, Any]]) -> SegmentationBatch:
    """Stack samples of one size.

    Raises:
        ValueError: If sizes differ.
    """
    sizes = {tuple(sample["image"].shape[1:]) for sample in samples}
    if len(sizes) > 1:
        raise ValueError(
            f"images of different sizes {sorted(sizes)} do not fit in one batch; set "
            f"--data.eval_batch_size 1, or give --data.crop (training) or --data.eval_size."
        )
    return {
        "image": torch.stack([sample["image"] for sample in samples]),
        "labels": torch.stack([sample["labels"] for sample in samples]),
        "name": [sample["name"] for sample in samples],
    }
