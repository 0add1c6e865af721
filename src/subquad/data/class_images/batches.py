"""Batches of pictures with classes: taken together, and the share of a process in an evaluation."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from subquad.data.class_images.samples import ClassBatch, ClassImages
from subquad.data.loading import Key, even_share


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


def evaluation_keys(length: int, rank: int, processes: int) -> list[Key]:
    """Return the keys of one process's share of a split, mixed, always alike; the shares are equally long.

    Where the pictures do not divide evenly, some processes get the index -1: a picture that does not count.
    """
    # Mixed: class folders are in the order of the classes, and a run may look at a part.
    order = torch.randperm(length, generator=torch.Generator().manual_seed(0)).tolist()
    return [(0, index) for index in even_share(order, rank, processes)]


def as_it_is(batch: ClassBatch) -> ClassBatch:
    """Return what `NumberedPictures` gave: it is a batch already."""
    return batch
