"""A dilated convolution in the place of a causal Paramixer: the same factors, gates that know no data."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn

from subquad.nn.causal_link_mixer import CausalLinkMixer, GateStart, Gating, check_start, start_logits


class CausalConvolution(CausalLinkMixer):
    """Mix n positions by M sparse causal factors with the same gates at every position.

    `CausalParamixer` whose a = sigmoid(f(x)) are parameters: a causal convolution of 2**M positions by M
    dilated ones of two. What a Paramixer has of its data is what it does better than this.

    Args:
        dim: Channels.
        factors: Number of factors M, 1 to 30.
        length: Instead of `factors`: takes the smallest M with 2**M >= `length`, at least 1.
        heads: Divides `dim`.
        conv: Width of the short convolution.
        start: The gates before training, in each factor. "graded": from 1/2 in the first head to 1/56 in the
            last. "uniform": 1/2. "identity": 1/56, nearly nothing from the earlier position.

    Attributes:
        logits: Of the gates, (M, heads).
    """

    def __init__(
        self,
        dim: int,
        *,
        factors: int | None = None,
        length: int | None = None,
        heads: int = 16,
        conv: int = 4,
        start: GateStart = "graded",
    ) -> None:
        check_start(start, get_args(GateStart))
        super().__init__(dim, factors=factors, length=length, heads=heads, conv=conv)
        self.start: GateStart = start
        self.logits = nn.Parameter(torch.empty(self.factors, heads))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start the gates as told; the layers inside reset themselves."""
        self.logits.copy_(start_logits(self.factors, self.heads, self.start))

    def _gating(self, x: Tensor) -> Gating:
        return Gating(self.logits)
