"""Data for Lightning: a training set and an evaluation set as loaders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subquad.data.bands import RGB
from subquad.data.loading import Batches, TrainingOrder, count_batches, in_batches
from subquad.engine.data import RunData
from subquad.tasks.segmentation.data.batches import EvaluationSamples, TrainingSamples, Transform, collate
from subquad.tasks.segmentation.data.labels import LabelSet, SegmentationDataset
from subquad.tasks.segmentation.data.split import Split


class SegmentationData(RunData[SegmentationDataset]):
    """Loaders of `SegmentationBatch`, seeded and resumable.

    Args:
        train: Training set; None if only evaluation is wanted.
        evaluation: Validation or test set.
        train_transform: From (image, labels) to (image, labels); may be random.
        eval_transform: The same, not random.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process; 1 takes images of any sizes.
        workers: Loader processes for each training process; 0 loads in the training process.
        seed: Decides the order and every random transform.
        split: How one folder was divided into the two.
        split_file: Where to write that when training begins; None keeps nothing.
        remarks: What is good to know of the data.

    Raises:
        ValueError: If the two sets do not have the same classes, or the training set is smaller than a batch.
    """

    def __init__(
        self,
        train: SegmentationDataset | None,
        evaluation: SegmentationDataset,
        *,
        train_transform: Transform,
        eval_transform: Transform,
        batch_size: int = 8,
        eval_batch_size: int = 1,
        workers: int = 0,
        seed: int = 0,
        split: Split | None = None,
        split_file: Path | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        super().__init__(
            {"train": train, "val": evaluation, "test": evaluation},
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            workers=workers,
            seed=seed,
        )
        if train is not None and train.labels.names != evaluation.labels.names:
            raise ValueError(
                f"training has the classes {train.labels.names}, evaluation {evaluation.labels.names}; "
                f"give both the same class file."
            )
        if train is not None:
            count_batches(len(train), batch_size)  # before a run leaves anything behind
        self.train, self.evaluation = train, evaluation
        self.split, self.split_file, self.remarks = split, split_file, tuple(remarks)
        self.train_transform, self.eval_transform = train_transform, eval_transform

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        return self.evaluation.labels

    @property
    def bands(self) -> int:
        """Of the pictures."""
        return getattr(self.evaluation, "bands", RGB)

    def prepare_data(self) -> None:
        """Keep the split, in one process, when training begins."""
        if self.split is not None and self.split_file is not None:
            self.split.write(self.split_file)

    def training_batches(self, dataset: SegmentationDataset, rank: int, processes: int) -> Batches:
        """Return shuffled batches of transformed samples."""
        order = TrainingOrder(len(dataset), self.batch_size, self.seed, rank, processes)
        return Batches(TrainingSamples(dataset, self.train_transform, self.seed), order, collate)

    def evaluation_batches(self, dataset: SegmentationDataset, rank: int, processes: int) -> Batches:
        """Return batches in the order of the data set."""
        samples = EvaluationSamples(dataset, self.eval_transform, rank, processes)
        return Batches(samples, in_batches(range(len(samples)), self.eval_batch_size), collate)
