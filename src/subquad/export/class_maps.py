"""A network that says the class of each pixel, and a graph of it that never holds all logits of an image."""

from __future__ import annotations

from typing import Literal, TypeGuard, get_args

import torch
from torch import Tensor, nn

from subquad.models import ImageConfig, SegmentationNetwork
from subquad.models.segmentation.class_blocks import index_type

AnswerKind = Literal["logits", "classes"]

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
        if torch.compiler.is_exporting() and _is_in_parts(network):
            return _class_map(network, images)
        logits: Tensor = network(images)
        return logits.argmax(dim=1).to(index_type(logits.shape[1]))


def answering(network: nn.Module, answer: AnswerKind) -> nn.Module:
    """Return a network that gives what is asked for.

    Raises:
        ValueError: If the answer is unknown, or classes are asked of a network that is not on images.
    """
    if answer not in get_args(AnswerKind):
        raise ValueError(f"answer must be one of {', '.join(get_args(AnswerKind))}, got {answer!r}.")
    if answer == "logits":
        return network
    config = getattr(network, "config", None)
    if config is not None and not isinstance(config, ImageConfig):
        raise ValueError(
            f"answer='classes' is for networks on images, which a {type(network).__name__} is not; leave it "
            f"out."
        )
    return ClassMaps(network)


def name_of(network: nn.Module) -> str:
    """Return the class of a network in messages: the user's, not that of what is put around it here."""
    return type(network.network if isinstance(network, ClassMaps) else network).__name__


def _is_in_parts(network: nn.Module) -> TypeGuard[SegmentationNetwork]:
    return isinstance(network, SegmentationNetwork) and network.has_coarse_logits


def _class_map(network: SegmentationNetwork, images: Tensor) -> Tensor:
    """Return the class map, some classes resized at a time."""
    coarse = network.coarse(images)
    classes = coarse.logits.shape[1]
    kind = index_type(classes)
    best: tuple[Tensor, Tensor] | None = None
    for first in range(0, classes, CLASSES):
        logits = coarse._replace(logits=coarse.logits[:, first : first + CLASSES]).resized()
        found = logits.amax(dim=1), (logits.argmax(dim=1) + first).to(kind)
        best = found if best is None else _larger(*best, *found)
    assert best is not None
    return best[1]


def _larger(before: Tensor, its: Tensor, after: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Return the larger of two logits at each pixel and its class; of equal ones the first."""
    return torch.maximum(before, after), torch.where(after > before, others, its)
