"""What a network costs: parameters, and multiply-adds by PyTorch's own counter."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from subquad.models.registry import create_model, model_config


def on_meta(name: str, **overrides: Any) -> nn.Module:
    """Build a network without memory for its weights, in evaluation mode."""
    with torch.device("meta"):
        return create_model(name, **overrides).eval()


def parameters(name: str, **overrides: Any) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in on_meta(name, **overrides).parameters())


def usual_size(name: str) -> int:
    """Return the height and width of image at which the cost of a network is published."""
    return model_config(name).usual_size


def multiply_adds(name: str, size: int | tuple[int, int] | None = None, **overrides: Any) -> int:
    """Return the multiply-adds of one image in evaluation.

    Convolutions and matrix products count, those of the decomposition too; norms, activations and
    resizing do not.

    Args:
        name: One of `list_models()`.
        size: Of the image: its side, or height and width; None for `usual_size`.
        **overrides: As for `create_model`.
    """
    from torch.utils.flop_counter import FlopCounterMode

    config = model_config(name, **overrides)
    size = config.usual_size if size is None else size
    sides = (size, size) if isinstance(size, int) else size
    network = on_meta(name, **overrides)
    image = torch.empty(1, config.in_channels, *sides, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    return counter.get_total_flops() // 2
