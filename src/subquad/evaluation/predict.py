"""From images as they are on disk to class indices."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from subquad.models import SegmentationConfig
from subquad.nn.mode import evaluating


def preprocess(images: Tensor, config: SegmentationConfig) -> Tensor:
    """Normalise images as the network was trained on them.

    Args:
        images: uint8 (batch, in_channels, H, W), 0..255.
        config: Of the network.

    Returns:
        float32, same shape.

    Raises:
        ValueError: If the images are not uint8 or not of that shape.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != config.in_channels:
        raise ValueError(
            f"expected uint8 images (batch, {config.in_channels}, height, width) in 0..255, got "
            f"{images.dtype} {tuple(images.shape)}."
        )
    mean, std = (
        torch.tensor(values, device=images.device).view(1, -1, 1, 1) for values in config.normalization
    )
    return (images.float() / 255 - mean) / std


@torch.inference_mode()
def predict_labels(model: nn.Module, images: Tensor) -> Tensor:
    """Return the most likely class of each pixel.

    Args:
        model: A segmentation network of `create_model`; used in evaluation mode.
        images: uint8 (batch, in_channels, H, W), any H and W, on any device.

    Returns:
        uint8 (batch, H, W), int64 if there are more than 255 classes; on the network's device.
    """
    config: SegmentationConfig = model.config  # pyright: ignore[reportAssignmentType]
    device = next(model.parameters()).device
    with evaluating(model):
        logits = model(preprocess(images.to(device), config))
    labels = logits.argmax(dim=1)
    return labels.byte() if config.num_classes <= 255 else labels
