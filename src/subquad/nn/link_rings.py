"""What causal links remember: for each factor m a ring of the 2**m rows that it was given last.

The rings lie one after another in one tensor, (batch, 2**M - 1, dim). The row given at time t goes to slot
t % 2**m of ring m; until then the one of t - 2**m is there, which that factor takes at t.
"""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops.transforms import is_transformed


def slots(t: Tensor, factors: int, dim: int) -> Tensor:
    """Return where the rows of time `t` (batch,) are in the rings, (batch, M, dim), to gather and scatter."""
    sizes = _sizes(factors, t.device)
    return (sizes - 1 + t.unsqueeze(1) % sizes).unsqueeze(2).expand(-1, -1, dim)


def put(rings: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """Return the rings with these rows (batch, M, dim).

    They are written into the memory there is, a few rows whatever its size; copied only where somebody still
    needs what was there: gradients, transforms, graphs of values.
    """
    differentiated = torch.is_grad_enabled() and (rings.requires_grad or rows.requires_grad)
    if differentiated or torch.compiler.is_exporting() or is_transformed(rings, index, rows):
        return rings.scatter(1, index, rows)
    return rings.scatter_(1, index, rows)


def in_order(rings: Tensor, t: Tensor, factors: int) -> Tensor:
    """Return the rows of each ring from the oldest to the latest, before time `t` (batch,)."""
    return _turned(rings, t, factors)


def as_rings(rows: Tensor, t: Tensor, factors: int) -> Tensor:
    """Return rings of rows that are in order, before time `t` (batch,)."""
    return _turned(rows, -t, factors)


def _turned(rows: Tensor, by: Tensor, factors: int) -> Tensor:
    sizes = _sizes(factors, rows.device)
    sizes = sizes.repeat_interleave(sizes, output_size=2**factors - 1)  # of the ring of each row
    slot = torch.arange(1, 2**factors, device=rows.device) - sizes
    index = sizes - 1 + (slot + by.unsqueeze(1)) % sizes
    return rows.gather(1, index.unsqueeze(2).expand_as(rows))


def _sizes(factors: int, device: torch.device) -> Tensor:
    return 2 ** torch.arange(factors, device=device)
