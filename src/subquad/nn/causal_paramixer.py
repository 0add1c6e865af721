"""Causal Paramixer: factors that mix a position with one before it, by gates computed of the input."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from subquad.nn.causal_link_mixer import CausalLinkMixer, Gating, check_start, start_logits
from subquad.nn.reset import start_with

_SPREAD = 0.3  # of the start weights of the last layer of f, against those of nn.Linear


class CausalParamixer(CausalLinkMixer):
    """Mix n positions by M sparse causal factors, O(n log n), one after another with a cache or all at once.

    With a_m = sigmoid(f_m(x)), one gate for all channels of a head, and nothing before the start::

        v, z = W_i x + b    y = ShortConv(v)
        y_i <- sqrt(2) ((1 - a_mi) y_i + a_mi y_{i - 2**m})     for m = 0 .. M-1
        out = W_o (rmsnorm(y) * silu(z))

    f is Linear, GELU, Linear, applied to each position. A position sees the 2**M - 1 before it, and what the
    convolution adds; sequences may be longer. The factors run in float32 under any autocast (float64 if the
    input is). For the backward pass they keep their values and the hidden layer of f.

    A link depends on where it starts, not on where it leads: it is a convolution whose weights follow the
    data, and finds nothing by its content.

    Args:
        dim: Channels.
        factors: Number of factors M, 1 to 30.
        length: Instead of `factors`: takes the smallest M with 2**M >= `length`, at least 1.
        heads: Divides `dim`.
        conv: Width of the short convolution.
        start: Which gates f gives in each factor before training, nearly the same for all data. "graded":
            from 1/2 in the first head, which reaches everything, to 1/56 in the last, which stays near.
            "uniform": 1/2.

    Attributes:
        hidden: The first layers of f.
        gates: The last of f; its outputs are the heads of factor 0, then of factor 1, and so on.

    References:
        Yu et al., "Paramixer: Parameterizing Mixing Links in Sparse Factors Works Better than
        Dot-Product Self-Attention", CVPR 2022, whose links lead to both sides.
    """

    def __init__(
        self,
        dim: int,
        *,
        factors: int | None = None,
        length: int | None = None,
        heads: int = 16,
        conv: int = 4,
        start: Literal["graded", "uniform"] = "graded",
    ) -> None:
        check_start(start, ("graded", "uniform"))
        super().__init__(dim, factors=factors, length=length, heads=heads, conv=conv)
        hidden = max(1, dim // 2)
        self.hidden = nn.Sequential(nn.Linear(dim, hidden), nn.GELU())
        self.gates = nn.Linear(hidden, self.factors * heads)
        start_with(self.gates, partial(_start_gates, starts=start_logits(self.factors, heads, start)))

    def _gating(self, x: Tensor) -> Gating:
        bias, weight = (
            p.unflatten(0, (self.factors, self.heads)) for p in (self.gates.bias, self.gates.weight)
        )
        return Gating(bias, self.hidden(x), weight)


@torch.no_grad()
def _start_gates(layer: nn.Linear, starts: Tensor) -> None:
    layer.weight.mul_(_SPREAD)
    layer.bias.copy_(starts.flatten())
