"""Pictures with classes for the training of generators."""

from __future__ import annotations

from subquad.data.class_images.batches import NumberedPictures, as_it_is, evaluation_keys
from subquad.data.class_images.samples import ClassImages, check_splits_agree
from subquad.data.loading import Batches, TrainingOrder, in_batches
from subquad.engine.data import RunData


class ClassImageData(RunData[ClassImages]):
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
        super().__init__(
            {"train": train, "val": evaluation, "test": evaluation},
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            workers=workers,
            seed=seed,
        )
        if train is not None:
            check_splits_agree(train, evaluation)
        self.class_names = evaluation.class_names

    def training_batches(self, dataset: ClassImages, rank: int, processes: int) -> Batches:
        """Return shuffled batches."""
        order = TrainingOrder(len(dataset), self.batch_size, self.seed, rank, processes)
        return Batches(NumberedPictures(dataset), order, as_it_is)

    def evaluation_batches(self, dataset: ClassImages, rank: int, processes: int) -> Batches:
        """Return mixed batches, the same in each evaluation."""
        keys = evaluation_keys(len(dataset), rank, processes)
        return Batches(NumberedPictures(dataset), in_batches(keys, self.eval_batch_size), as_it_is)
