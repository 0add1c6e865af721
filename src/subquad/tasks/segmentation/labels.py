"""From images as they are on disk to class indices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from subquad.models import SegmentationNetwork, optimize_for_inference
from subquad.models.folding import AGREEMENT, difference, output_of
from subquad.models.segmentation.class_blocks import classes_of
from subquad.tasks.segmentation.one_view import is_one_view, predict_classes
from subquad.tasks.segmentation.protocol import EvaluationProtocol, predict_scores, protocol_for


def predict_labels(
    model: SegmentationNetwork, images: Tensor, protocol: EvaluationProtocol | None = None
) -> Tensor:
    """Return the most likely class of each pixel.

    Args:
        model: A segmentation network of `create_model`; used in evaluation mode.
        images: uint8 (batch, in_channels, H, W), any H and W, on any device.
        protocol: How the images are presented; None: once, resized if the network was trained so.

    Returns:
        uint8 (batch, H, W), int64 if there are more than 255 classes; on the network's device.

    Raises:
        ValueError: If the images are not uint8 or not of that shape.
    """
    shown = protocol_for(model.config, protocol)
    if is_one_view(model, shown):
        return predict_classes(model, images, shown).clone()  # as a tensor like any other
    return classes_of(predict_scores(model, images, shown))


def channels_last(network: Any) -> Any:
    """Return a network with its weights in the order in which convolutions are fast: a quarter less time."""
    return network.to(memory_format=torch.channels_last)


def for_inference(network: SegmentationNetwork) -> SegmentationNetwork:
    """Return a network with the same logits up to rounding, in half of the time; not to be trained."""
    at, draw = next(network.parameters()).device, torch.Generator().manual_seed(0)
    sizes = (64, 64), (97, 131)  # at another size than it was checked at, a network may take another way
    noise, other = (
        torch.randn(1, network.config.in_channels, *size, generator=draw).to(at) for size in sizes
    )
    try:
        fast = optimize_for_inference(network, noise)
        apart = difference(output_of(fast, (other,)), output_of(network, (other,)))
        return fast if apart < AGREEMENT else channels_last(network)
    except (RuntimeError, ValueError, AssertionError):  # one of another package that takes no small images
        return channels_last(network)
