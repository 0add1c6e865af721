"""From images as they are on disk to what a network takes."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.models import ImageConfig


def preprocess(images: Tensor, config: ImageConfig) -> Tensor:
    """Normalise images as the network was trained on them.

    Args:
        images: uint8 (batch, in_channels, H, W), 0..255.
        config: Of the network.

    Returns:
        Same shape; float32, or what else PyTorch's default type is, as in training by half precision alone.

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
    return ((images.float() / 255 - mean) / std).to(mean.dtype)
