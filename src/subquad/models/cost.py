"""What a network costs: parameters, and multiply-adds by PyTorch's own counter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from subquad.models.config import ImageConfig
from subquad.models.hamgan import HamGANConfig
from subquad.models.registry import create_model, model_config


def on_meta(name: str, **overrides: Any) -> nn.Module:
    """Build a network without memory for its weights, in evaluation mode."""
    with torch.device("meta"):
        return create_model(name, **overrides).eval()


def parameters(name: str, **overrides: Any) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in on_meta(name, **overrides).parameters())


def usual_size(name: str, wanted: int | None = None) -> int:
    """Return the height and width of image at which to count the cost of a network.

    Args:
        name: One of `list_models()`.
        wanted: Another than the published one; a HamGAN makes images of its own size alone.
    """
    config = model_config(name)
    return config.usual_size if wanted is None or isinstance(config, HamGANConfig) else wanted


def multiply_adds(name: str, size: int | tuple[int, int] | None = None, **overrides: Any) -> int:
    """Return the multiply-adds of one image in evaluation.

    Convolutions and matrix products count, those of the decomposition too; norms, activations and
    resizing do not. Of a HamGAN it is the generator that counts.

    Args:
        name: One of `list_models()`.
        size: Of the image: its side, or height and width; None for `usual_size`. Of a HamGAN, its option.
        **overrides: As for `create_model`.
    """
    from torch.utils.flop_counter import FlopCounterMode

    config = model_config(name, **overrides)
    if isinstance(config, HamGANConfig) and size is not None:
        overrides["size"] = size
    network = on_meta(name, **overrides)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*_inputs(config, size))
    return counter.get_total_flops() // 2


def _inputs(config: ImageConfig, size: int | tuple[int, int] | None) -> tuple[Tensor, ...]:
    if isinstance(config, HamGANConfig):
        labels = torch.zeros(1, dtype=torch.int64, device="meta")
        return torch.empty(1, config.latent, device="meta"), labels
    size = config.usual_size if size is None else size
    sides = (size, size) if isinstance(size, int) else size
    return (torch.empty(1, config.in_channels, *sides, device="meta"),)
