"""Sequence data for Lightning: training, validation and testing as loaders."""

from __future__ import annotations

from torch import Tensor
from torch.utils.data import DataLoader

from subquad.data.loading import Batches
from subquad.engine.data import RunData
from subquad.tasks.sequences.data.batches import (
    BucketOrder,
    Collate,
    EvaluationOrder,
    Numbered,
    SequenceBatch,
)
from subquad.tasks.sequences.data.building import open_sequences, unknown_tokens
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.samples import SequenceDataset, SequenceInfo, TargetKind
from subquad.tasks.sequences.data.split import none_left
from subquad.tasks.sequences.data.unknown import UnknownTokens
from subquad.tasks.sequences.data.vocabulary import Vocabulary


class SequenceData(RunData[SequenceDataset]):
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
        self.notes: list[str] = []
        super().__init__(
            open_sequences(options, self.notes.append),
            batch_size=options.batch_size,
            eval_batch_size=options.eval_batch_size,
            workers=options.workers,
            seed=options.seed,
        )
        self.options = options

    @property
    def info(self) -> SequenceInfo:
        """What a network must know."""
        return self.datasets["train"].info

    @property
    def task(self) -> TargetKind:
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

    def training_batches(self, dataset: SequenceDataset, rank: int, processes: int) -> Batches:
        """Return batches of like length."""
        order = BucketOrder(self._lengths(dataset), self.batch_size, self.seed, rank, processes)
        return self._batches(dataset, order)

    def evaluation_batches(self, dataset: SequenceDataset, rank: int, processes: int) -> Batches:
        """Return batches from short to long."""
        return self._batches(
            dataset, EvaluationOrder(self._lengths(dataset), self.eval_batch_size, rank, processes)
        )

    def missing(self, split: str) -> str:
        """Say how a split is had."""
        if getattr(self.options, f"{split}_fraction"):
            return none_left(len(self.datasets["train"]), split)
        return (
            f"there is no {split} split; give {split}_file (--data.{split}_file), or {split}_fraction "
            f"(--data.{split}_fraction) above 0."
        )

    def predict_dataloader(self) -> DataLoader[SequenceBatch]:
        """Return what `test_dataloader` returns."""
        return self.test_dataloader()

    def _batches(self, dataset: SequenceDataset, order: BucketOrder | EvaluationOrder) -> Batches:
        return Batches(Numbered(dataset), order, Collate(dataset.info, self.options.pad == "length"))

    def _lengths(self, dataset: SequenceDataset) -> Tensor | int:
        return dataset.lengths if self.options.buckets and dataset.lengths is not None else len(dataset)
