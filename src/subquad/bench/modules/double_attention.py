"""A²-Net's block: gather features of the whole map, then hand each position its share of them."""

from __future__ import annotations

from torch import Tensor, nn


class DoubleAttention(nn.Module):
    """x + out(A softmax_positions(B)' softmax_channels(V)).

    Each row of B, normalised over the positions, gathers a mean of A; V, normalised over the rows, says
    how much of each a position gets.

    Args:
        dim: Channels, of A and of B and V, too.

    References:
        Chen et al., "A²-Nets: Double Attention Networks", NeurIPS 2018, section 3, equation 6.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.a, self.b, self.v = (nn.Conv2d(dim, dim, 1) for _ in range(3))
        self.out = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gather and distribute; (batch, dim, height, width)."""
        gathered = self.a(x).flatten(2) @ self.b(x).flatten(2).softmax(dim=-1).mT  # (batch, dim, dim)
        shares = self.v(x).flatten(2).softmax(dim=1)
        return x + self.out((gathered @ shares).reshape(x.shape))
