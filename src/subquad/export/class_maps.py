"""A network that says the class of each pixel, and a graph of it that never holds all logits of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from subquad.models import ImageConfig, SegmentationNetwork
from subquad.models.segmentation.class_blocks import index_type

Answer = Literal["logits", "classes"]

CLASSES = 16  # that a graph resizes at a time


class ClassMaps(nn.Module):
    """A network whose answer is the class with the largest logit, the first of several.

    Args:
        network: Maps images (batch, channels, H, W) to logits (batch, classes, ...).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.config = getattr(network, "config", None)

    def forward(self, images: Tensor) -> Tensor:
        """Map images to classes (batch, ...), uint8, or int64 if there are more than 255."""
        network = self.network
        # What is exported is compared with what is not: the plain way.
        exports = torch.compiler.is_exporting()
        if exports and isinstance(network, SegmentationNetwork) and network.has_coarse_logits:
            return _class_map(network, images)
        logits: Tensor = network(images)
        return logits.argmax(dim=1).to(index_type(logits.shape[1]))


def answering(network: nn.Module, answer: Answer) -> nn.Module:
    """Return a network that gives what is asked for.

    Raises:
        ValueError: If the answer is unknown, or classes are asked of a network that is not on images.
    """
    if answer not in get_args(Answer):
        raise ValueError(f"answer must be one of {', '.join(get_args(Answer))}, got {answer!r}.")
    if answer == "logits":
        return network
    config = getattr(network, "config", None)
    if config is not None and not isinstance(config, ImageConfig):
        raise ValueError(
            f"answer='classes' is for networks on images, and a {type(network).__name__} is not; leave it "
            "out."
        )
    return ClassMaps(network)


def _class_map(network: SegmentationNetwork, images: Tensor) -> Tensor:
    """Return the class map, some classes resized at a time."""
    coarse = network.coarse(images)
    classes = coarse.logits.shape[1]

    def blocks() -> Iterator[tuple[int, Tensor]]:
        for start in range(0, classes, CLASSES):
            yield start, coarse._replace(logits=coarse.logits[:, start : start + CLASSES]).resized()

    parts = blocks()
    _, block = next(parts)
    best, at = block.amax(dim=1), block.argmax(dim=1).to(index_type(classes))
    for first, block in parts:
        top, found = block.amax(dim=1), block.argmax(dim=1) + first
        better = top > best  # strict: of equal ones the first
        best, at = torch.where(better, top, best), torch.where(better, found.to(at.dtype), at)
    return at
