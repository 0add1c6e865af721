"""DANet's head: attention over positions beside attention over channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DualAttention(nn.Module):
    """Both attentions of x, each with a learned weight that starts at zero, convolved and added.

    Positions: x + alpha V softmax(Q'K)', with queries and keys of an eighth of the channels.
    Channels: x + beta softmax(X X') X, with no weights of its own.

    Args:
        dim: Channels.

    References:
        Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019, sections 3.2 to 3.4.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        narrow = max(1, dim // 8)
        self.query, self.key = nn.Conv2d(dim, narrow, 1), nn.Conv2d(dim, narrow, 1)
        self.value = nn.Conv2d(dim, dim, 1)
        self.alpha, self.beta = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.after_positions, self.after_channels = _conv(dim), _conv(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend; (batch, dim, height, width)."""
        return self.after_positions(self.over_positions(x)) + self.after_channels(self.over_channels(x))

    def over_positions(self, x: Tensor) -> Tensor:
        """Return x + alpha times the values, weighted for each position."""
        query, key, value = (conv(x).flatten(2) for conv in (self.query, self.key, self.value))
        weights = (query.mT @ key).softmax(dim=-1)  # a row for each query
        return x + self.alpha * (value @ weights.mT).reshape(x.shape)

    def over_channels(self, x: Tensor) -> Tensor:
        """Return x + beta times the channels, weighted for each channel."""
        flat = x.flatten(2)
        return x + self.beta * ((flat @ flat.mT).softmax(dim=-1) @ flat).reshape(x.shape)


def _conv(dim: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU())
