"""Pictures with classes for Lightning: a training set and an evaluation set as loaders."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from subquad.base.interruption import outlive
from subquad.data.class_images.samples import ClassBatch, ClassImages
from subquad.data.loading import Key, TrainingLoader, TrainingOrder


class NumberedPictures(Dataset[ClassBatch]):
    """A split that is asked for whole batches: decoded pictures are taken together, not one by one."""

    def __init__(self, split: ClassImages) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, keys: list[Key]) -> ClassBatch:
        """Return the pictures of these keys, (epoch, index); index -1 fills up."""
        index = torch.tensor([index for _, index in keys])
        taken = index.clamp(min=0)
        return {
            "image": self.split.pictures(taken.tolist()),
            "label": self.split.classes[taken],
            "index": index,
        }


class PictureLoader(TrainingLoader):
    """A loader of training batches that remembers where it is, so that a run resumes anywhere.

    Args:
        split: Of training.
        order: Which pictures are in which batch.
        workers: Loader processes.
    """

    def __init__(self, split: ClassImages, order: TrainingOrder, workers: int) -> None:
        super().__init__(NumberedPictures(split), order, workers)  # pyright: ignore[reportArgumentType]
        self.collate_fn = _as_it_is  # pyright: ignore[reportAttributeAccessIssue]


class ClassImageData(LightningDataModule):
    """Loaders of `ClassBatch`, seeded and resumable.

    A training step gets one batch of pictures, for the discriminator. The update of the generator
    needs none: its noise and its classes are drawn, apart from those of the discriminator's update.

    Args:
        train: Training set; None if only evaluation is wanted.
        evaluation: What generated pictures are compared with.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process.
        workers: Loader processes for each training process; 0 loads in the training process.
        seed: Decides the order of training.

    Raises:
        ValueError: If the two sets do not have the same classes, or a batch would be empty.
    """

    def __init__(
        self,
        train: ClassImages | None,
        evaluation: ClassImages,
        *,
        batch_size: int = 64,
        eval_batch_size: int = 200,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in {"batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if train is not None and train.class_names != evaluation.class_names:
            differ = sorted(set(train.class_names) ^ set(evaluation.class_names))
            raise ValueError(
                f"{train.where} has {len(train.class_names)} classes, {evaluation.where} "
                f"{len(evaluation.class_names)}: {differ[:3]} are in one of them only; give both the same."
            )
        self.train, self.evaluation = train, evaluation
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.workers, self.seed = workers, seed
        self._loader: PictureLoader | None = None
        self._position: dict[str, int] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.evaluation.class_names

    def train_dataloader(self) -> PictureLoader:
        """Return the training batches of this process.

        Raises:
            ValueError: If there is no training set, or it does not fill a batch.
        """
        if self.train is None:
            raise ValueError("this data has no training set.")
        rank, processes = self._place()
        order = TrainingOrder(len(self.train), self.batch_size, self.seed, rank, processes)
        self._loader = PictureLoader(self.train, order, self.workers)
        if self._position is not None:
            self._loader.load_state_dict(self._position)
        return self._loader

    def val_dataloader(self) -> DataLoader[ClassBatch]:
        """Return the evaluation batches of this process; all processes have equally many."""
        rank, processes = self._place()
        length = len(self.evaluation)
        # Mixed, always alike: class folders are in the order of the classes, and a run may look at a part.
        order = torch.randperm(length, generator=torch.Generator().manual_seed(0)).tolist()
        # Where they do not divide evenly, some processes get a picture that does not count.
        order += [-1] * (-length % processes)
        mine = order[rank::processes]
        batches = [
            [(0, index) for index in mine[first : first + self.eval_batch_size]]
            for first in range(0, len(mine), self.eval_batch_size)
        ]
        return DataLoader(
            NumberedPictures(self.evaluation),
            batch_sampler=batches,  # pyright: ignore[reportArgumentType]
            num_workers=self.workers,
            worker_init_fn=outlive,
            collate_fn=_as_it_is,  # pyright: ignore[reportArgumentType]
            persistent_workers=self.workers > 0,
        )

    def test_dataloader(self) -> DataLoader[ClassBatch]:
        """Return what `val_dataloader` returns."""
        return self.val_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """Return how far training is in its data."""
        return {} if self._loader is None else self._loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next training loader begin there, as `SegmentationData` does."""
        self._position = state_dict or None

    def _place(self) -> tuple[int, int]:
        """Return the rank of this process and the number of processes."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)


def _as_it_is(batch: ClassBatch) -> ClassBatch:
    return batch
