"""What the causal mixers with queries, keys and values have in common."""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.nn.causal import CausalMixer, check_heads, start_open
from subquad.nn.causal_conv import ShortConv
from subquad.nn.precision import in_range
from subquad.nn.reset import start_with
from subquad.ops.transforms import is_known

QueryStart = Literal["induction", "random"]


class CausalHeads(CausalMixer):
    """Queries, keys and values of several heads in front of a mixer, and a gated map behind it.

    q, k, v = conv(W x), and the output is W_o (o * silu(W_z x + b)).

    Args:
        dim: Channels.
        heads: Must divide `dim`.
        conv: Positions that a short causal convolution of q, k and v sees; 0: none.
        gate: Whether there is W_z; b is such that silu starts near 1.
        start: "induction": at first a key is what a query was one position before, so that a head asks what
            came after the last positions when they were there before, see `start_inducing`. "random": both
            are drawn by themselves. Without a convolution of two positions at least, the same.
        key_scale: Of W for queries and keys at first; None: as `nn.Linear` starts, about 1 / sqrt(3).
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        conv: int,
        gate: bool,
        start: QueryStart,
        key_scale: float | None = None,
    ) -> None:
        super().__init__(dim)
        check_heads(dim, heads)
        if conv < 0:
            raise ValueError(f"conv must be at least 0, got {conv}.")
        if start not in get_args(QueryStart):
            raise ValueError(f"start must be one of {', '.join(get_args(QueryStart))}, got {start!r}.")
        self.heads = heads
        self.start: QueryStart = start
        induction = start == "induction" and conv > 1
        self.query_key_value = nn.Linear(dim, 3 * dim, bias=False)
        if induction or key_scale is not None:
            start_with(self.query_key_value, partial(start_keys, alike=induction, scale=key_scale))
        self.conv = ShortConv(3 * dim, conv) if conv else None
        if self.conv is not None and induction:
            start_with(self.conv, partial(start_inducing, heads=heads))
        self.gate = nn.Linear(dim, dim) if gate else None
        if self.gate is not None:
            start_with(self.gate, start_open)
        self.output = nn.Linear(dim, dim, bias=False)

    def _project(
        self, x: Tensor, tail: Tensor | None, lengths: Tensor | None
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Return q, k and v, (batch, n, heads, size) each, and the tail of the convolution after them."""
        rows = self._mapped(x)
        if self.conv is not None:
            rows, tail = self.conv(rows, tail, lengths)
        return self._split(rows), tail

    def _project_one(self, x_t: Tensor, tail: Tensor | None) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Return q, k and v of one position, (batch, heads, size) each, and the tail after it."""
        row = self._mapped(x_t)
        if self.conv is not None:
            assert tail is not None
            row, tail = self.conv.step(row, tail)
        return self._split(row), tail

    def _mapped(self, x: Tensor) -> Tensor:
        return in_range(self.query_key_value(x))

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


@torch.no_grad()
def start_keys(linear: nn.Linear, alike: bool, scale: float | None) -> None:
    """Start the maps to queries and keys; that to values is the last third.

    Args:
        linear: A third of its outputs each are queries, keys and values.
        alike: Whether queries and keys start as the same map.
        scale: Deviation of both for an input of deviation 1; None: as it is.
    """
    queries, keys, _ = linear.weight.chunk(3)
    for weight in (queries, keys):
        if scale is not None:
            weight.normal_(0, scale * weight.shape[1] ** -0.5)
    if alike:
        keys.copy_(queries)


@torch.no_grad()
def start_inducing(conv: ShortConv, heads: int) -> None:
    """Let a key be what a query was one position before: of one position in the first head, more in others.

    A query then looks for the position after the last one that had the same n positions before it, as an
    induction head does (Olsson et al., "In-context learning and induction heads", 2022). Attention learns
    that by itself; a linear memory hardly does, since it answers a little to all keys that agree a little.

    Args:
        conv: A third of its channels each are queries, keys and values, each of `heads` parts.
        heads: The first takes 1 position into a query, the last `width - 1`; a single one does, too.
    """
    before = conv.width - 1
    queries, keys, _ = conv.weight.squeeze(1).unflatten(0, (3, heads, -1))  # (heads, size, width) each
    # Small, so that tokens decide; not 0, since the key of the first position is nothing else, and to give
    # zeros a length multiplies their gradient by a thousand.
    bias, of_keys, _ = conv.bias.chunk(3)
    bias *= 0.2
    of_keys.copy_(bias)
    for head in range(heads):
        n = before if heads == 1 else 1 + round(head * (before - 1) / (heads - 1))
        taps = torch.randn_like(queries[head, :, :n]) * n**-0.5
        queries[head] = F.pad(taps, (conv.width - n, 0))
        keys[head] = F.pad(taps, (before - n, 1))


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
