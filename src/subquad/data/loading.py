"""Loading for any task: an order of training that can be taken up anywhere, and the loader that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from subquad.base.interruption import outlive
from subquad.base.seeds import mix_seed

Key = tuple[int, int]  # epoch, index
FILLER = -1  # in the place of an index: a sample that an evaluation does not count
K = TypeVar("K")


def count_batches(length: int, batch_size: int, processes: int = 1) -> int:
    """Return the batches of an epoch for each process; the last, smaller batch is left out.

    Raises:
        ValueError: If there is none.
    """
    batches = length // (batch_size * processes)
    if batches == 0:
        raise ValueError(
            f"training has {length} samples, fewer than one batch of {batch_size} for {processes} "
            f"process(es); lower batch_size (--data.batch_size)."
        )
    return batches


class TrainingOrder(Sampler[list[Any]]):
    """Batches of an epoch: shuffled by (seed, epoch), shared among processes, from `first` on.

    A sample is asked for by its `Key`, so that what is random about it can depend on the epoch.

    Args:
        length: The number of samples.
        batch_size: For each process.
        seed: Decides the order.
        rank: Of this process.
        processes: Their number.

    Raises:
        ValueError: If the samples do not fill one batch.
    """

    def __init__(self, length: int, batch_size: int, seed: int, rank: int = 0, processes: int = 1) -> None:
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

    def __iter__(self) -> Iterator[list[Any]]:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, self.epoch))
        order = torch.randperm(self.length, generator=generator)
        used = order[: self.batches * self.batch_size * self.processes]
        batches = self.arranged(used, generator).view(self.batches, self.batch_size, self.processes)
        for batch in batches[self.first :, :, self.rank].tolist():
            yield [self.key(index) for index in batch]

    def arranged(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """Return the shuffled samples of an epoch as they fill its batches one after the other."""
        return order

    def key(self, index: int) -> Any:
        """Return what a sample is asked for by."""
        return self.epoch, index


class Batches(NamedTuple):
    """How a data set becomes batches.

    Attributes:
        samples: Asked for by the keys that the order holds.
        order: Which keys are in which batch; for training a `TrainingOrder`.
        collate: Makes a batch of the samples.
    """

    samples: Dataset[Any]
    order: Sampler[list[Any]] | list[list[Any]]
    collate: Callable[[Any], Any]


class TrainingLoader(DataLoader[Any]):
    """A loader that remembers where it is, so that a run resumes in the middle of an epoch.

    Args:
        batches: In a `TrainingOrder`.
        workers: Loader processes; 0 loads in this one.
    """

    def __init__(self, batches: Batches, workers: int = 0) -> None:
        samples, order, collate = batches
        assert isinstance(order, TrainingOrder)
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

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
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


def in_batches(keys: Iterable[K], size: int) -> list[list[K]]:
    """Cut keys into batches in their order; the last one may be smaller."""
    keys = list(keys)
    return [keys[first : first + size] for first in range(0, len(keys), size)]


def even_share(order: Sequence[int], rank: int, processes: int) -> list[int]:
    """Return one process's share of the samples to evaluate, as long as that of every other process.

    Where they do not divide evenly, some shares end with `FILLER`: processes wait for each other after each
    batch, and one with fewer would leave the others waiting for ever.

    Args:
        order: Indices of samples.
        rank: Of this process.
        processes: Their number.
    """
    return [*order, *[FILLER] * (-len(order) % processes)][rank::processes]
