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


def multiply_adds(name: str, size: int = 512, **overrides: Any) -> int:
    """Return the multiply-adds of one size x size image in evaluation.

    Convolutions and matrix products count, those of the decomposition too; norms, activations and
    resizing do not.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = on_meta(name, **overrides)
    image = torch.empty(1, model_config(name, **overrides).in_channels, size, size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    return counter.get_total_flops() // 2
