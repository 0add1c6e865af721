"""The class of each pixel of an image that is shown once: no scores of all classes at all pixels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.models import SegmentationNetwork
from subquad.models.segmentation.class_blocks import class_blocks, index_type, running_maximum
from subquad.nn.mode import evaluating
from subquad.tasks.segmentation.protocol import EvaluationProtocol, as_shown, padded


def is_one_view(network: object, protocol: EvaluationProtocol) -> bool:
    """Say whether `predict_classes` gives what the scores of a protocol would say."""
    of_ours = isinstance(network, SegmentationNetwork) and network.has_coarse_logits
    shows_once = protocol.scales == (1.0,) and not protocol.flip and protocol.window is None
    # Rounded probabilities may tie where logits do not.
    return of_ours and shows_once and protocol.merge == "logits"


@torch.inference_mode()
def predict_classes(network: SegmentationNetwork, images: Tensor, protocol: EvaluationProtocol) -> Tensor:
    """Return the class with the largest of the scores of `predict_scores`, the first of several.

    Args:
        network: In any mode; used in evaluation mode.
        images: uint8 (batch, in_channels, H, W), any H and W, on any device.
        protocol: With `is_one_view`.

    Returns:
        (batch, H, W), uint8, or int64 if there are more than 255 classes; on the network's device.

    Raises:
        ValueError: If the images are not uint8 or not of that shape.
    """
    view, size = as_shown(network, images, protocol), images.shape[2:]
    height, width = view.shape[2:]
    with evaluating(network):
        if view.shape[2:] == size and not protocol.pad_to:
            return network.class_map(view)
        coarse = network.coarse(padded(view, protocol))
    classes = coarse.logits.shape[1]
    # Another kernel on other devices: it may round by the number of channels.
    blocks = class_blocks(coarse) if view.device.type == "cpu" else [(0, classes)]

    def scores() -> Iterator[tuple[int, Tensor]]:
        for start, stop in blocks:
            logits = coarse.of_classes(start, stop).resized().float()[:, :, :height, :width]
            if logits.shape[2:] != size:
                align = network.config.align_corners
                logits = F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=align)
            yield start, logits

    return running_maximum(scores()).to(index_type(classes))
