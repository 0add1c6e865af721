"""Batches of pictures and classes: seeded samples, and how they are stacked.

The batch that training and evaluation meet on is a dictionary:

    image   uint8 (batch, channels, size, size), not normalised: the network's configuration knows how
    label   int64 (batch,), the class
    index   int64 (batch,), the number of the picture in its split; -1 of one that only fills up
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from subquad.base.seeds import mix_seed
from subquad.data.class_images.samples import ClassBatch, ClassedPictures
from subquad.data.loading import Key
from subquad.tasks.classification.data.transforms import Transform

Sample = tuple[Tensor, Tensor, int]


class TrainingSamples(Dataset[Sample]):
    """Transformed pictures whose randomness depends on (seed, epoch, index) alone.

    Not on the worker or the process that loads them, nor on what was loaded before: so a resumed run, or
    one with another number of workers, sees the same pictures.
    """

    def __init__(self, pictures: ClassedPictures, transform: Transform, seed: int) -> None:
        self.pictures, self.transform, self.seed = pictures, transform, seed

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix_seed(self.seed, epoch, index))
            image = self.transform(self.pictures.decoded(index))
        return image, self.pictures.classes[index], index


class EvaluationSamples(Dataset[Sample]):
    """Pictures of the keys of `evaluation_keys`, presented always alike."""

    def __init__(self, pictures: ClassedPictures, transform: Transform) -> None:
        self.pictures, self.transform = pictures, transform

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Key) -> Sample:
        index = key[1]
        real = max(index, 0)
        return self.transform(self.pictures.decoded(real)), self.pictures.classes[real], index


def collate(samples: list[Sample]) -> ClassBatch:
    """Stack samples."""
    images, labels, index = zip(*samples, strict=True)
    return {"image": torch.stack(images), "label": torch.stack(labels), "index": torch.tensor(index)}


def kept_by(batch: Any) -> Tensor:
    """Return which pictures of a batch count, bool (batch,)."""
    return batch["index"] >= 0
