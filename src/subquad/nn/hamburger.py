"""The Hamburger block: two pointwise convolutions (bread) around a matrix decomposition (ham)."""

from __future__ import annotations

from math import sqrt
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from subquad.nn.conv import Pointwise, apply_norm, make_norm
from subquad.nn.ham import Ham, Over, StartDictionary
from subquad.nn.precision import in_range
from subquad.nn.reset import start_with
from subquad.nn.tracing import one_node
from subquad.ops import NMF, Solver
from subquad.ops.checks import check_is_solver
from subquad.ops.precision import Precision
from subquad.ops.solver import wants_nonnegative

Version = Literal["v1", "v2", "v2plus"]
Norm = Literal["batch", "group"]


class Hamburger(nn.Module):
    """Global context for a feature map: x + upper_bread(ham(lower_bread(x))).

    =============  ======================  ===============  ======================================
    part           v1                      v2               v2plus
    =============  ======================  ===============  ======================================
    `lower_bread`  1x1, bias, maybe ReLU   same             same
    `ham`          `Ham`                   same             same
    `cheese`       none                    1x1, norm, ReLU  same, `dim // cheese_factor` wide
    `upper_bread`  1x1, norm               1x1              1x1
    result         ReLU(x + y)             ReLU(x + y)      ReLU(`coef_shortcut` x + `coef_ham` y)
    =============  ======================  ===============  ======================================

    The ReLU of the lower bread is there for a solver whose data must not be negative, such as NMF.

    Args:
        channels: Of the input, and of the output.
        version: See the table. In v2plus the two coefficients are learned; they start at 1 and 0.
        dim: Width inside, all heads together.
        rank: See `Ham`, as `solver`, `heads`, `steps`, `eval_steps`, `grad_steps`, `start`, `over`,
            `precision`.
        norm: "batch", "group" or None.
        norm_groups: Groups of the group norm; must divide `channels` (v1) or the cheese's width.
        gate: Multiply y by a learned scalar that starts at zero and leave out the last ReLU:
            inserting the block into a trained network changes nothing at first.
        cheese_factor: v2plus narrows the cheese by it; None takes `heads`, as the originals do.
        ham: A module to put in the ham's place, `(batch, dim, *spatial)` and an optional mask to
            the same shape, such as `SelfAttention`; the options of `Ham` are then unused, except
            that `solver` still decides on the ReLU before it.

    References:
        Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021, section 2.
    """

    coef_shortcut: nn.Parameter | None
    coef_ham: nn.Parameter | None
    gate: nn.Parameter | None

    def __init__(
        self,
        channels: int,
        *,
        version: Version = "v2",
        dim: int = 512,
        rank: int = 64,
        solver: Solver = NMF(),  # noqa: B008  a frozen value
        heads: int = 1,
        steps: int = 6,
        eval_steps: int | None = None,
        grad_steps: int | None = None,
        start: StartDictionary = "random",
        over: Over = "space",
        precision: Precision = "float32",
        norm: Norm | None = "batch",
        norm_groups: int = 32,
        gate: bool = False,
        cheese_factor: int | None = None,
        ham: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if version not in get_args(Version):
            raise ValueError(f"version must be one of {', '.join(get_args(Version))}, got {version!r}.")
        check_is_solver(solver)
        self.channels, self.version = channels, version
        self.lower_bread = Pointwise(channels, dim)
        self.nonnegative = wants_nonnegative(solver)
        if ham is None:  # an empty nn.Sequential is false
            ham = Ham(
                dim,
                rank,
                solver,
                heads=heads,
                steps=steps,
                eval_steps=eval_steps,
                grad_steps=grad_steps,
                start=start,
                over=over,
                precision=precision,
            )
        self.ham = ham
        if version == "v1":
            self.cheese = None
            self.upper_bread = Pointwise(dim, channels, bias=False)
            self.norm = make_norm(norm, channels, norm_groups)
        else:
            wanted = heads if cheese_factor is None else cheese_factor
            factor = wanted if version == "v2plus" else 1
            if factor < 1 or dim % factor:
                raise ValueError(f"cheese_factor must divide dim, got {factor} for dim {dim}.")
            self.cheese = Pointwise(dim, dim // factor, bias=False)
            self.norm = make_norm(norm, dim // factor, norm_groups)
            self.upper_bread = Pointwise(dim // factor, channels, bias=False)
        plus = version == "v2plus"
        self.coef_shortcut = nn.Parameter(torch.empty(1)) if plus else None
        self.coef_ham = nn.Parameter(torch.empty(1)) if plus else None
        self.gate = nn.Parameter(torch.empty(1)) if gate else None
        self.reset_parameters()
        for conv in (self.lower_bread, self.cheese, self.upper_bread):
            if conv is not None:
                start_with(conv, _as_the_originals)

    @one_node
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Add global context to `x`.

        Args:
            x: `(batch, channels, *spatial)`, any number of spatial axes.
            mask: `(batch, *spatial)`, True where a position counts. Padding neither gives nor gets,
                may hold anything, and is zero in the result.

        Raises:
            ValueError: If the channels or the mask do not fit.
        """
        if x.dim() < 3 or x.shape[1] != self.channels:
            raise ValueError(f"expected (batch, {self.channels}, *spatial), got {tuple(x.shape)}.")
        if mask is not None:
            # Before any weight: its gradient is a product with x, and zero times NaN is NaN.
            x = x.where(mask.unsqueeze(1), 0)
        y = in_range(self.lower_bread(x))
        if self.nonnegative:
            y = y.relu()
        y = self.ham(y) if mask is None else self.ham(y, mask)
        if self.cheese is None:
            y = in_range(apply_norm(self.norm, in_range(self.upper_bread(y)), mask))
        else:
            y = in_range(apply_norm(self.norm, in_range(self.cheese(y)), mask).relu())
            y = in_range(self.upper_bread(y))
        if mask is not None:
            y = y.where(mask.unsqueeze(1), 0)
        return self._merge(x, y)

    def _merge(self, x: Tensor, y: Tensor) -> Tensor:
        if self.coef_shortcut is not None and self.coef_ham is not None:
            x, y = in_range(self.coef_shortcut * x), in_range(self.coef_ham * y)
        if self.gate is not None:
            return in_range(x + in_range(self.gate * y))
        return in_range((x + y).relu())

    def reset_parameters(self) -> None:
        """Set the gate and the two coefficients to what they start at; all else resets itself."""
        for number, start in ((self.coef_shortcut, 1.0), (self.coef_ham, 0.0), (self.gate, 0.0)):
            if number is not None:
                nn.init.constant_(number, start)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.channels}, version={self.version!r}"


def _as_the_originals(conv: Pointwise) -> None:
    """Normal with variance 2 / outputs; biases keep PyTorch's default."""
    nn.init.normal_(conv.weight, std=sqrt(2 / conv.out_channels))
