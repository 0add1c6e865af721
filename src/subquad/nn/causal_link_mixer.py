"""What `CausalParamixer` and `CausalConvolution` share: all but where their gates come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.nn.causal import Cache, CausalMixer, check_heads, counted, start_open
from subquad.nn.causal_conv import ShortConv
from subquad.nn.link_rings import as_rings, in_order, put, slots
from subquad.nn.paramixer import number_of_factors
from subquad.nn.reset import start_with
from subquad.ops.causal_links import causal_link_chain, causal_link_part, causal_link_step
from subquad.ops.link_rows import precision_of

_MOST_FACTORS = 30  # of which the cache has a thousand million rows
_EPSILON = 1e-6
_NEARLY_NONE = -4.0  # logit of a gate that takes next to nothing, 1/56, from the earlier row

GateStart = Literal["graded", "uniform", "identity"]


class Gating(NamedTuple):
    """What gates are computed from: sigmoid(logits + weight hidden).

    Attributes:
        logits: (M, heads).
        hidden: (..., width) of each position, or None.
        weight: (M, heads, width), or None.
    """

    logits: Tensor
    hidden: Tensor | None = None
    weight: Tensor | None = None


class CausalLinkMixer(CausalMixer):
    """A short convolution, M causal factors and an output gate, all but where the gates come from.

    With the factors of `subquad.ops.causal_link_chain`::

        v, z = W_i x + b    y = chain of the factors of ShortConv(v)    out = W_o (rmsnorm(y) * silu(z))

    b starts as 0 for v, and for z where silu is 1. The factors and the norm run in float32 under any autocast
    (float64 if the input is).

    Args:
        dim: Channels.
        factors: Number of factors M, 1 to 30.
        length: Instead of `factors`: takes the smallest M with 2**M >= `length`, at least 1.
        heads: Divides `dim`.
        conv: Width of the short convolution.
    """

    def __init__(self, dim: int, *, factors: int | None, length: int | None, heads: int, conv: int) -> None:
        super().__init__(dim)
        self.factors = number_of_factors(factors, length)
        if not 1 <= self.factors <= _MOST_FACTORS:
            raise ValueError(f"factors must be 1 to {_MOST_FACTORS}, got {self.factors}.")
        check_heads(dim, heads)
        self.heads = heads
        self.input = nn.Linear(dim, 2 * dim)
        start_with(self.input, partial(start_open, first=dim))
        self.conv = ShortConv(dim, conv)
        self.output = nn.Linear(dim, dim, bias=False)

    @abstractmethod
    def _gating(self, x: Tensor) -> Gating:
        """Return what the gates of positions (..., dim) are computed from."""

    def init_cache(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Cache:
        """Return the cache of no position: dim * (2**M - 1) numbers a sample and a few more."""
        like = self.output.weight if dtype is None else self.output.weight.new_empty(0, dtype=dtype)
        device, dtype = device or like.device, precision_of(like)
        return {
            "rings": torch.zeros(batch, 2**self.factors - 1, self.dim, device=device, dtype=dtype),
            "tail": torch.zeros(batch, self.conv.width - 1, self.dim, device=device, dtype=dtype),
            "t": torch.zeros(batch, device=device, dtype=torch.int64),
        }

    def step(self, x_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Mix one more position, at the same cost wherever it is."""
        self._check_step(x_t, cache)
        rings, t = cache["rings"], cache["t"]
        v, z = self.input(x_t).chunk(2, dim=-1)
        y, tail = self.conv.step(v.to(precision_of(v)), cache["tail"])
        index = slots(t, self.factors, self.dim)
        y, given = causal_link_step(y, rings.gather(1, index), *self._gating(x_t))
        after = {"rings": put(rings, index, given), "tail": tail, "t": t + 1}
        return self._gated(y, z).to(x_t.dtype), after

    def _mix(
        self, x: Tensor, cache: Cache | None, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Cache]:
        v, z = self.input(x).chunk(2, dim=-1)
        v, gating = v.to(precision_of(v)), self._gating(x)
        if cache is None and not keep:
            y, _ = self.conv(v)
            return self._gated(causal_link_chain(y, *gating), z).to(x.dtype), {}
        if cache is None:
            cache = self.init_cache(x.shape[0], x.device, v.dtype)
        y, tail = self.conv(v, cache["tail"], lengths)
        t = cache["t"]
        before = in_order(cache["rings"], t, self.factors)
        y, rows = causal_link_part(y, before, *gating, lengths=lengths)
        t = t + counted(x, lengths)
        after = {"rings": as_rings(rows, t, self.factors), "tail": tail, "t": t}
        return self._gated(y, z).to(x.dtype), after

    def _gated(self, y: Tensor, z: Tensor) -> Tensor:
        gated = F.rms_norm(y, (self.dim,), eps=_EPSILON) * F.silu(z.to(y.dtype))
        return self.output(gated.to(z.dtype))

    def _cache_shapes(self) -> dict[str, tuple[int | None, ...]]:
        rings, tail = (2**self.factors - 1, self.dim), (self.conv.width - 1, self.dim)
        return {"rings": rings, "tail": tail, "t": ()}

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.dim}, factors={self.factors}, heads={self.heads}"


def start_logits(factors: int, heads: int, start: GateStart) -> Tensor:
    """Return the logits of the gates that each factor starts with, (factors, heads)."""
    first, last = {"graded": (0.0, _NEARLY_NONE), "uniform": (0.0, 0.0), "identity": (_NEARLY_NONE,) * 2}[
        start
    ]
    # On the CPU: a network on "meta" has them too.
    return torch.linspace(first, last, heads, device="cpu").expand(factors, -1)


def check_start(start: str, known: Sequence[str]) -> None:
    """Raise ValueError for what is no start of the gates."""
    if start not in known:
        raise ValueError(f"start must be one of {', '.join(known)}, got {start!r}.")
