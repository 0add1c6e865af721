"""Pictures with classes for Lightning: training and evaluation as loaders."""

from __future__ import annotations

from statistics import median

from subquad.data.class_images.batches import evaluation_keys
from subquad.data.class_images.samples import ClassedPictures
from subquad.data.loading import Batches, TrainingOrder, count_batches, in_batches
from subquad.engine.data import RunData
from subquad.tasks.classification.data.batches import EvaluationSamples, TrainingSamples, collate
from subquad.tasks.classification.data.options import PictureOptions
from subquad.tasks.classification.data.splits import open_splits
from subquad.tasks.classification.data.transforms import EvalTransform, train_transform

LARGEST_SIZE = 224  # that is taken where none is asked for
MEASURED = 50  # pictures are enough to know how large they are


class ClassificationData(RunData[ClassedPictures]):
    """Loaders of pictures of one size, seeded and resumable.

    Args:
        options: Which pictures, and how they are presented.
        seed: Decides the order, what is held out, and every random transform.
        training: Whether they are opened for training, too.
        channels: That a network takes which is evaluated; None: as the options say.
        size: That it was trained at; None: as the options say.
        crop_ratio: That it was evaluated with while training; None: as the options say.
        interpolation: The same of it.

    Attributes:
        class_names: The classes in the order of their numbers.
        channels: 1 or 3.
        size: Height and width.
        crop_ratio: Share of a picture's shorter side that an evaluation sees.
        interpolation: How an evaluation resizes pictures.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If it cannot be understood, or teaches nothing.
    """

    def __init__(
        self,
        options: PictureOptions,
        seed: int,
        *,
        training: bool = True,
        channels: int | None = None,
        size: int | None = None,
        crop_ratio: float | None = None,
        interpolation: str | None = None,
    ) -> None:
        train, evaluation = open_splits(options, seed, training=training, channels=channels)
        super().__init__(
            {"train": train, "val": evaluation, "test": evaluation},
            batch_size=options.batch_size,
            eval_batch_size=options.eval_batch_size,
            workers=options.workers,
            seed=seed,
        )
        self.class_names, self.channels = evaluation.class_names, evaluation.channels
        if train is not None:
            count_batches(len(train), options.batch_size)  # before a run leaves anything behind
        self.size = options.size or size or usual_size(evaluation if train is None else train)
        self.crop_ratio = options.crop_ratio or crop_ratio or 1.0
        how = options.interpolation or interpolation or "bicubic"
        self.interpolation = "bicubic" if how == "random" else how
        self.eval_transform = EvalTransform(self.size, self.crop_ratio, self.interpolation)
        self.train_transform = train_transform(options, self.size, self.channels)

    def training_batches(self, dataset: ClassedPictures, rank: int, processes: int) -> Batches:
        """Return shuffled batches of transformed pictures."""
        order = TrainingOrder(len(dataset), self.batch_size, self.seed, rank, processes)
        return Batches(TrainingSamples(dataset, self.train_transform, self.seed), order, collate)

    def evaluation_batches(self, dataset: ClassedPictures, rank: int, processes: int) -> Batches:
        """Return batches in an order that mixes the classes and is always the same."""
        keys = evaluation_keys(len(dataset), rank, processes)
        samples = EvaluationSamples(dataset, self.eval_transform)
        return Batches(samples, in_batches(keys, self.eval_batch_size), collate)


def usual_size(pictures: ClassedPictures) -> int:
    """Return the median of the shorter sides of some pictures, 224 at most."""
    apart = max(1, len(pictures) // MEASURED)
    sides = [min(pictures.decoded(index).shape[1:]) for index in range(0, len(pictures), apart)]
    return min(int(median(sides)), LARGEST_SIZE)
