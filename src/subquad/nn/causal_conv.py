"""The short convolution in front of a causal mixer: each position with the few before it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.ops.autocast import autocast_off
from subquad.ops.link_rows import precision_of


class ShortConv(nn.Module):
    """Convolve each channel by itself over a position and those before it; nothing is before the first.

    Sums run in float32 (float64 if the input is) under any autocast. What was before a part of a sequence is
    its tail: any split into parts gives the same.

    Args:
        dim: Channels.
        width: Positions of a sum, its own included, at least 1.

    Attributes:
        weight: (dim, 1, width), of the position itself last; starts as that of `nn.Conv1d`.
        bias: (dim).
    """

    def __init__(self, dim: int, width: int = 4) -> None:
        super().__init__()
        if dim < 1 or width < 1:
            raise ValueError(f"dim and width must be at least 1, got dim={dim} and width={width}.")
        self.dim, self.width = dim, width
        self.weight = nn.Parameter(torch.empty(dim, 1, width))
        self.bias = nn.Parameter(torch.empty(dim))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw weight and bias uniformly within 1 / sqrt(width)."""
        bound = 1 / math.sqrt(self.width)
        self.weight.uniform_(-bound, bound)
        self.bias.uniform_(-bound, bound)

    def forward(
        self, x: Tensor, tail: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Convolve all positions.

        Args:
            x: (batch, n, dim), any n from 1; quickest where positions of a channel lie side by side.
            tail: The inputs before, (batch, width - 1, dim), the latest last; None: zeros.
            lengths: How many positions of each sample count, (batch,) integers; None: all.

        Returns:
            (batch, n, dim) of the type of `x`, and the tail after each sample's last position that counts.
        """
        with autocast_off(x):
            before = self.width - 1
            if tail is None:
                tail = x.new_zeros(x.shape[0], before, self.dim)
                channels, padding = x.mT, before  # copies no zeros in front
            else:
                tail = tail.to(x.dtype)
                channels, padding = torch.cat((tail.mT, x.mT), dim=2), 0
            dtype = precision_of(x)
            weight, bias = self.weight.to(dtype), self.bias.to(dtype)
            y = F.conv1d(channels.to(dtype), weight, bias, padding=padding, groups=self.dim)
            return y[..., : x.shape[1]].mT.to(x.dtype), _last_rows(tail, x, lengths)

    def step(self, x_t: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve one more position.

        Args:
            x_t: (batch, dim).
            tail: The inputs before it.

        Returns:
            (batch, dim), and the tail after it.
        """
        with autocast_off(x_t):
            rows = torch.cat((tail.to(x_t.dtype), x_t.unsqueeze(1)), dim=1)
            dtype = precision_of(x_t)
            weight, bias = self.weight.to(dtype).squeeze(1).mT, self.bias.to(dtype)
            return ((rows.to(dtype) * weight).sum(1) + bias).to(x_t.dtype), rows[:, 1:]

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.dim}, width={self.width}"


def _last_rows(tail: Tensor, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last rows that count of the tail followed by `x`, as many as the tail has."""
    before = tail.shape[1]
    if not before:
        return tail
    batch, n = x.shape[:2]  # len(x) would be a number that an export cannot leave open
    last = x.new_full((batch,), n, dtype=torch.int64) if lengths is None else lengths.to(x.device)
    rows = last.unsqueeze(1) + torch.arange(before, device=x.device)  # of both, one after the other
    is_before = rows < before
    old = tail.gather(1, rows.where(is_before, 0).unsqueeze(2).expand(-1, -1, x.shape[2]))
    new = x.gather(1, (rows - before).where(~is_before, 0).unsqueeze(2).expand(-1, -1, x.shape[2]))
    return old.where(is_before.unsqueeze(2), new)
