"""Data for Lightning: a training set and an evaluation set as loaders."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from subquad.base.interruption import outlive
from subquad.data.loading import (
    EvaluationSamples,
    TrainingLoader,
    TrainingOrder,
    TrainingSamples,
    Transform,
    collate,
    count_batches,
)
from subquad.tasks.segmentation.data.labels import LabelSet, SegmentationDataset


class SegmentationData(LightningDataModule):
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
    ) -> None:
        super().__init__()
        for name, value in {"batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if train is not None and train.labels.names != evaluation.labels.names:
            raise ValueError(
                f"training has the classes {train.labels.names}, evaluation {evaluation.labels.names}; "
                f"give both the same class file."
            )
        if train is not None:
            count_batches(len(train), batch_size)  # before a run leaves anything behind
        self.train, self.evaluation = train, evaluation
        self.train_transform, self.eval_transform = train_transform, eval_transform
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.workers, self.seed = workers, seed
        self._loader: TrainingLoader | None = None
        self._position: dict[str, int] | None = None

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        return self.evaluation.labels

    def train_dataloader(self) -> TrainingLoader:
        """Return the training batches of this process."""
        if self.train is None:
            raise ValueError("this data has no training set.")
        rank, processes = self._place()
        order = TrainingOrder(len(self.train), self.batch_size, self.seed, rank, processes)
        samples = TrainingSamples(self.train, self.train_transform, self.seed)
        self._loader = TrainingLoader(samples, order, self.workers)
        if self._position is not None:
            self._loader.load_state_dict(self._position)
        return self._loader

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Return the evaluation batches of this process."""
        samples = EvaluationSamples(self.evaluation, self.eval_transform, *self._place())
        return DataLoader(
            samples,
            self.eval_batch_size,
            num_workers=self.workers,
            worker_init_fn=outlive,
            collate_fn=collate,
            persistent_workers=self.workers > 0,
        )

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Return what `val_dataloader` returns."""
        return self.val_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """Return how far training is in its data."""
        return {} if self._loader is None else self._loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next training loader begin there.

        Lightning also hands the position to the loader itself, but only to one that is made after
        the checkpoint was read; a schedule that asks for the number of steps makes it before.
        """
        self._position = state_dict or None

    def _place(self) -> tuple[int, int]:
        """Return the rank of this process and the number of processes."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
