"""EMANet's unit: a few bases by expectation-maximisation, of which each position is rebuilt."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ExpectationMaximisation(nn.Module):
    """ReLU(x + out(bases responsibilities)), between two linear maps.

    Responsibilities are a softmax of products with the bases; bases are means by responsibility, of length
    one. All iterations are differentiated. A running mean of the bases is where each pass starts.

    Args:
        dim: Channels.
        bases: Their number.
        steps: Iterations.
        momentum: Of the running mean.

    References:
        Li et al., "Expectation-Maximization Attention Networks for Semantic Segmentation", ICCV 2019,
        section 3.
    """

    start: Tensor

    def __init__(self, dim: int, bases: int = 64, steps: int = 3, momentum: float = 0.9) -> None:
        super().__init__()
        self.steps, self.momentum = steps, momentum
        self.into, self.out = nn.Conv2d(dim, dim, 1), nn.Conv2d(dim, dim, 1, bias=False)
        self.norm = nn.BatchNorm2d(dim)
        self.register_buffer("start", F.normalize(torch.randn(1, dim, bases), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Rebuild; (batch, dim, height, width)."""
        flat = self.into(x).flatten(2)
        likely = self.responsibilities(flat, self.start.clone())  # a graph keeps it, and it moves
        for _ in range(1, self.steps):
            likely = self.responsibilities(flat, self.means(flat, likely))
        bases = self.means(flat, likely)
        if self.training:
            self._move(bases)
        rebuilt = (bases @ likely).relu().reshape(x.shape)
        return torch.relu(x + self.norm(self.out(rebuilt)))

    @torch.no_grad()
    def _move(self, bases: Tensor) -> None:
        mean = self.start.lerp(bases.mean(dim=0, keepdim=True), 1 - self.momentum)
        self.start.copy_(F.normalize(mean, dim=1))

    @staticmethod
    def means(flat: Tensor, likely: Tensor) -> Tensor:
        """Return the mean of what each basis answers for, of length one, (batch, dim, bases)."""
        shares = likely / (1e-6 + likely.sum(dim=-1, keepdim=True))
        return F.normalize(flat @ shares.mT, dim=1)

    @staticmethod
    def responsibilities(flat: Tensor, bases: Tensor) -> Tensor:
        """Return how much each basis answers for each position, (batch, bases, positions)."""
        return (bases.mT @ flat).softmax(dim=1)
