"""Sequence data for Lightning: training, validation and testing as loaders."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from subquad.base.interruption import outlive
from subquad.data.loading import TrainingLoader
from subquad.tasks.sequences.data.batches import (
    BucketOrder,
    Collate,
    EvaluationOrder,
    Numbered,
    SequenceBatch,
)
from subquad.tasks.sequences.data.building import open_sequences, unknown_tokens
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.samples import SequenceDataset, SequenceInfo, Task
from subquad.tasks.sequences.data.split import none_left
from subquad.tasks.sequences.data.unknown import UnknownTokens
from subquad.tasks.sequences.data.vocabulary import Vocabulary


class SequenceLoader(TrainingLoader):
    """A loader of sequences that remembers where it is, so that a run resumes in the middle of an epoch.

    Args:
        samples: The samples with their numbers.
        order: Which of them are in which batch.
        collate: How a batch is made of them.
        workers: Loader processes.
    """

    def __init__(self, samples: Numbered, order: BucketOrder, collate: Collate, workers: int) -> None:
        super().__init__(samples, order, workers)  # pyright: ignore[reportArgumentType]
        self.collate_fn = collate  # pyright: ignore[reportAttributeAccessIssue]


class SequenceData(LightningDataModule):
    """Loaders of `SequenceBatch`, seeded and resumable.

    Everything is opened at once, so that wrong data are told before training.

    Args:
        options: Which sequences, and how they are presented.

    Attributes:
        options: As given.
        datasets: `"train"`, and `"val"` and `"test"` if there are any.
        notes: How the files were read, where a user may want to know.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If a file cannot be understood.
    """

    def __init__(self, options: SequenceOptions) -> None:
        super().__init__()
        self.options = options
        self.notes: list[str] = []
        self.datasets: dict[str, SequenceDataset] = open_sequences(options, self.notes.append)
        self._loader: SequenceLoader | None = None
        self._position: dict[str, int] | None = None

    @property
    def info(self) -> SequenceInfo:
        """What a network must know."""
        return self.datasets["train"].info

    @property
    def task(self) -> Task:
        """`"classification"` or `"regression"`."""
        return self.info.task

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their numbers; empty for regression."""
        return self.info.class_names

    @property
    def num_classes(self) -> int | None:
        """How many classes there are; None for regression."""
        return len(self.class_names) or None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens; None for real values."""
        return self.info.vocabulary

    @property
    def vocab_size(self) -> int | None:
        """The number of tokens, special ones included; None for real values."""
        return None if self.vocabulary is None else len(self.vocabulary)

    @property
    def in_features(self) -> int | None:
        """Values at each position; None for tokens."""
        return self.info.in_features

    @property
    def length(self) -> int:
        """The most positions of a sequence, the one in front included."""
        return self.info.length

    @property
    def pad_id(self) -> int | None:
        """The token that fills up; None for real values, and where all lengths are the same."""
        return None if self.vocabulary is None else self.vocabulary.pad_id

    @property
    def cls(self) -> bool:
        """Whether a position was put in front."""
        return self.options.cls

    def unknown(self, split: str) -> UnknownTokens | None:
        """Count the tokens of a split that training does not have; None where there can be none."""
        dataset = self.datasets.get(split)
        return None if dataset is None else unknown_tokens(dataset)

    def train_dataloader(self) -> SequenceLoader:
        """Return the training batches of this process.

        Raises:
            ValueError: If the samples do not fill one batch.
        """
        rank, processes = self._place()
        dataset, options = self.datasets["train"], self.options
        order = BucketOrder(
            _lengths(dataset, options.buckets), options.batch_size, options.seed, rank, processes
        )
        self._loader = SequenceLoader(Numbered(dataset), order, self._collate(dataset), options.workers)
        if self._position is not None:
            self._loader.load_state_dict(self._position)
        return self._loader

    def val_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return the validation batches of this process.

        Raises:
            ValueError: If there is no validation split.
        """
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return the test batches of this process.

        Raises:
            ValueError: If there is no test split.
        """
        return self._evaluation("test")

    def predict_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return what `test_dataloader` returns."""
        return self.test_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """Return how far training is in its data."""
        return {} if self._loader is None else self._loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next training loader begin there, as `SegmentationData` does."""
        self._position = state_dict or None

    def _evaluation(self, split: str) -> DataLoader[Any]:
        if split not in self.datasets:
            if getattr(self.options, f"{split}_fraction"):
                raise ValueError(none_left(len(self.datasets["train"]), split))
            raise ValueError(
                f"there is no {split} split; give {split}_file (--data.{split}_file), or {split}_fraction "
                f"(--data.{split}_fraction) above 0."
            )
        dataset, options = self.datasets[split], self.options
        order = EvaluationOrder(_lengths(dataset, options.buckets), options.eval_batch_size, *self._place())
        return DataLoader(
            Numbered(dataset),
            batch_sampler=order,
            num_workers=options.workers,
            worker_init_fn=outlive,
            collate_fn=self._collate(dataset),
            persistent_workers=options.workers > 0,
        )

    def _collate(self, dataset: SequenceDataset) -> Collate:
        return Collate(dataset.info, self.options.pad == "length")

    def _place(self) -> tuple[int, int]:
        """Return the rank of this process and the number of processes."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)


def _lengths(dataset: SequenceDataset, buckets: bool) -> Tensor | int:
    return dataset.lengths if buckets and dataset.lengths is not None else len(dataset)
