"""What every backbone gives: feature maps, fine to coarse, and their channels."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Backbone(Protocol):
    """A network from images to feature maps.

    Attributes:
        channels: Channels of the returned maps, fine to coarse.
    """

    channels: tuple[int, ...]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Map (batch, in_channels, H, W) to the feature maps, (batch, channels[i], h_i, w_i)."""
        ...


class DropPath(nn.Module):
    """Leave a residual branch out for some samples while training (stochastic depth).

    Args:
        rate: Probability of leaving it out, 0 <= rate < 1; the rest is scaled by 1 / (1 - rate).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"the drop-path rate must be in [0, 1), got {rate}.")
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        shape = (branch.shape[0],) + (1,) * (branch.dim() - 1)
        return branch * torch.empty(shape, device=branch.device, dtype=branch.dtype).bernoulli_(keep).div_(
            keep
        )

    def extra_repr(self) -> str:
        return f"{self.rate:.3g}"
