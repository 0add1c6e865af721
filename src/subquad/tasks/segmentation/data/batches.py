"""Batches of segmentation: seeded samples, and how they are stacked.

The batch that training and evaluation meet on is a dictionary:

    image   uint8 (batch, 3, H, W), RGB, not normalised: the network's configuration knows how
    labels  uint8 (batch, H, W), class indices; 255 is ignored
    name    list of str, one a sample
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from subquad.base.seeds import mix_seed
from subquad.data.loading import FILLER, Key, even_share
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.labels import SegmentationDataset

Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class SegmentationBatch(TypedDict):
    """See the head of this file."""

    image: Tensor
    labels: Tensor
    name: list[str]


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
        self.dataset, self.transform = dataset, transform
        self.share = even_share(range(len(dataset)), rank, processes)

    def __len__(self) -> int:
        return len(self.share)

    def __getitem__(self, position: int) -> dict[str, Any]:
        is_filler = self.share[position] == FILLER
        sample = self.dataset[0 if is_filler else self.share[position]]
        image, labels = self.transform(sample.image, sample.labels)
        if is_filler:
            labels = torch.full_like(labels, IGNORE_INDEX)
        return {"image": image, "labels": labels, "name": sample.name}


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
