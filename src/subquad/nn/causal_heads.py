"""What the causal mixers with queries, keys and values have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.nn.causal import CausalMixer, start_open
from subquad.nn.causal_conv import ShortConv
from subquad.nn.precision import in_range
from subquad.nn.reset import start_with
from subquad.ops.transforms import is_known


class CausalHeads(CausalMixer):
    """Queries, keys and values of several heads in front of a mixer, and a gated map behind it.

    q, k, v = conv(W x), and the output is W_o (o * silu(W_z x + b)).

    Args:
        dim: Channels.
        heads: Must divide `dim`.
        conv: Positions that a short causal convolution of q, k and v sees; 0: none.
        gate: Whether there is W_z; b is such that silu starts near 1.
    """

    def __init__(self, dim: int, heads: int, conv: int, gate: bool) -> None:
        super().__init__(dim)
        if heads < 1 or dim % heads:
            raise ValueError(f"heads must divide dim, got {heads} heads for dim {dim}.")
        if conv < 0:
            raise ValueError(f"conv must be at least 0, got {conv}.")
        self.heads = heads
        self.query_key_value = nn.Linear(dim, 3 * dim, bias=False)
        self.conv = ShortConv(3 * dim, conv) if conv else None
        self.gate = nn.Linear(dim, dim) if gate else None
        if self.gate is not None:
            start_with(self.gate, start_open)
        self.output = nn.Linear(dim, dim, bias=False)

    def _project(
        self, x: Tensor, tail: Tensor | None, lengths: Tensor | None
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Return q, k and v, (batch, n, heads, size) each, and the tail of the convolution after them."""
        rows = in_range(self.query_key_value(x))
        if self.conv is not None:
            rows, tail = self.conv(rows, tail, lengths)
        return self._split(rows), tail

    def _project_one(self, x_t: Tensor, tail: Tensor | None) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Return q, k and v of one position, (batch, heads, size) each, and the tail after it."""
        row = in_range(self.query_key_value(x_t))
        if self.conv is not None:
            assert tail is not None
            row, tail = self.conv.step(row, tail)
        return self._split(row), tail

    def _split(self, rows: Tensor) -> tuple[Tensor, ...]:
        return rows.unflatten(-1, (3, self.heads, -1)).unbind(-3)

    def _finish(self, o: Tensor, x: Tensor) -> Tensor:
        """Return the output for what was read, (..., heads, size)."""
        y = o.flatten(-2).to(x.dtype)
        if self.gate is not None:
            y = y * F.silu(self.gate(x))
        return self.output(y).to(x.dtype)

    def _cache_shapes(self) -> dict[str, tuple[int | None, ...]]:
        tail = {} if self.conv is None else {"tail": (self.conv.width - 1, 3 * self.dim)}
        return {**tail, "t": ()}

    def _first_tail(self, batch: int, device: torch.device | str, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return what a cache holds of the convolution at first: its tail, or nothing."""
        if self.conv is None:
            return {}
        return {"tail": torch.zeros(batch, self.conv.width - 1, 3 * self.dim, device=device, dtype=dtype)}


def finite_rows(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return rows without NaN and infinity, and from where on what is computed of them is lost.

    A product with zero does not keep NaN out: within a product of matrices, a row that is not finite would
    reach those before it.

    Args:
        x: (batch, n, dim).

    Returns:
        `x` with zeros for each row that is not finite, and whether a row or one before it is not,
        (batch, n, 1); None where all are, and one may look.
    """
    least, most = x.aminmax(dim=-1, keepdim=True)  # no sum, which may be beyond all numbers itself
    broken = ~(least.isfinite() & most.isfinite())
    if is_known(x) and x.is_cpu and not bool(broken.any()):
        return x, None
    return x.where(~broken, 0), broken.cumsum(1) > 0


def with_lost_rows(y: Tensor, lost: Tensor | None) -> Tensor:
    """Return what was computed, NaN where it is lost; `lost` fits the axes of `y`."""
    return y if lost is None else y.where(~lost, torch.nan)
