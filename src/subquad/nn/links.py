"""The link networks of a Paramixer block: small MLPs that give each position its links."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Hidden entries of the link networks that are computed at a time: they stay in the cache.
_MOST_HIDDEN = 2**18


class LinkNetworks(nn.Module):
    """One MLP a factor, all reading the same context: Linear, GELU, Linear per position.

    The parameters of all factors are stacked, so that the first layers are one product. Network m
    of the original, `fs.{m}.network.{0,2}`, is cut out like this, with h = `hidden`:

    - `network.0.weight` (h, dim) is `weight1[m * h : (m + 1) * h]`
    - `network.0.bias` (h) is `bias1[m * h : (m + 1) * h]`
    - `network.2.weight` (n_links, h) is `weight2[m]`
    - `network.2.bias` (n_links) is `bias2[m]`

    Args:
        dim: Channels of the context.
        hidden: Width h of each network.
        factors: Number of networks M.
        n_links: Links of a row.

    Attributes:
        weight1: First layers, (M * h, dim).
        bias1: (M * h).
        weight2: Second layers, (M, n_links, h).
        bias2: (M, n_links).
    """

    def __init__(self, dim: int, hidden: int, factors: int, n_links: int) -> None:
        super().__init__()
        self.dim, self.hidden, self.factors, self.n_links = dim, hidden, factors, n_links
        self.weight1 = nn.Parameter(torch.empty(factors * hidden, dim))
        self.bias1 = nn.Parameter(torch.empty(factors * hidden))
        self.weight2 = nn.Parameter(torch.empty(factors, n_links, hidden))
        self.bias2 = nn.Parameter(torch.empty(factors, n_links))
        self.constant: Tensor | None = None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw each network as `nn.Linear` draws its layers: uniform within 1 / sqrt(inputs).

        After `reset_to_constant` the second layers are again those of constant links.
        """
        for parameter, inputs in (
            (self.weight1, self.dim),
            (self.bias1, self.dim),
            (self.weight2, self.hidden),
            (self.bias2, self.hidden),
        ):
            bound = 1 / math.sqrt(inputs)
            parameter.uniform_(-bound, bound)
        if self.constant is not None:
            self.reset_to_constant(self.constant)

    @torch.no_grad()
    def reset_to_constant(self, links: Tensor) -> None:
        """Zero the second layers: every row of factor m then has the links `links[m]`, (M, n_links)."""
        self.constant = links
        self.weight2.zero_()
        self.bias2.copy_(links)

    def at_once(self, context: Tensor) -> int:
        """Return for how many factors to compute the hidden layer at a time, so that it stays small."""
        if torch.compiler.is_compiling():
            return 1  # the number of positions may be a symbol
        return min(self.factors, max(1, _MOST_HIDDEN // (context.shape[:-1].numel() * self.hidden)))

    def forward(self, context: Tensor, first: int, last: int) -> list[Tensor]:
        """Return the links of the factors `first` to `last - 1`, each (batch, n, n_links).

        Args:
            context: (batch, n, dim).
            first: First factor, from 0.
            last: One past the last factor.
        """
        rows = slice(first * self.hidden, last * self.hidden)
        flat = F.linear(context.flatten(0, 1), self.weight1[rows], self.bias1[rows])
        hidden = F.gelu(flat).split(self.hidden, dim=1)
        return [
            F.linear(part, weight, bias).unflatten(0, context.shape[:2])
            for part, weight, bias in zip(
                hidden, self.weight2[first:last].unbind(), self.bias2[first:last].unbind(), strict=True
            )
        ]

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.dim}, {self.hidden}, factors={self.factors}, n_links={self.n_links}"
