"""Paramixer: global mixing by a product of sparse factors whose entries are functions of the data."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from subquad.nn.lengths import real_positions, resolve_lengths
from subquad.nn.links import LinkNetworks
from subquad.nn.tracing import one_node
from subquad.ops import cdil_offsets, chord_offsets, link_mix
from subquad.ops.transforms import is_transformed

LinkProtocol = Literal["chord", "cdil"]
Residual = Literal["running", "fixed"]
StartLinks = Literal["random", "identity", "uniform"]

CDIL_LINKS = 9  # of the original


class Paramixer(nn.Module):
    """Mix n positions by M sparse factors, O(n log n) links each way, for any n at run time.

    With values V, context X, one network f_m a factor, and W_m the n x n matrix that has the links
    f_m(x_i) of position i in row i::

        V <- g(V)        V <- W_m V + V     for m = 1 .. M

    g and the f_m are Linear, GELU, Linear, applied to each position. The chain runs in float32
    under any autocast (float64 if the values are); the result has the type of the values.

    Args:
        dim: Channels of the values and the context.
        hidden: Width of g and of the f_m.
        protocol: Where the links lead. "chord": 0, 1, 2, 4, .., 2**(M - 1), the same in each
            factor. "cdil": 0, +D, +2D, .., -D, -2D, .. with D = 1, 2, 4, .. from factor to factor.
            Offsets wrap at the length.
        links: Links of a row for "cdil", an odd number. "chord" has M + 1.
        factors: Number of factors M.
        length: Instead of `factors`: takes the smallest M with 2**M >= `length`, at least 1. Up to
            that length every position reaches every other; longer inputs run, but do not.
        residual: What each factor adds: "running" the V before it (the original's code), "fixed"
            the output of g, None nothing (the figure of the paper).
        norm: Normalise the values before g and the context before the f_m (LayerNorm).
        start: Which links the f_m give before training. "random": any, as in the original; the
            output grows with M. The others are the same for all data. "identity": each position has
            a link to itself alone, and the block is g. "uniform": each has the same link to every
            other. Its factors are (1 + shift by 2**m) / sqrt(2), and so the block is the sum of g
            over all n = 2**M positions, divided by sqrt(n); not for residual="fixed".
        dropout: Probability of zeroing an entry of the result in training.
        recompute: In training, keep only V between factors for the backward pass, and compute links
            again there; not under the transforms of `torch.func`.

    Attributes:
        g: The value map, an `nn.Sequential`; its layers 0 and 2 are the original's
            `g.network.0` and `g.network.2`.
        links: The f_m, stacked; see `subquad.nn.links.LinkNetworks` for the layout.
        offsets: The offsets of each factor, in the order of the links.

    References:
        Yu et al., "Paramixer: Parameterizing Mixing Links in Sparse Factors Works Better than
        Dot-Product Self-Attention", CVPR 2022.
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        *,
        protocol: LinkProtocol = "chord",
        links: int = CDIL_LINKS,
        factors: int | None = None,
        length: int | None = None,
        residual: Residual | None = "running",
        norm: bool = False,
        start: StartLinks = "random",
        dropout: float = 0.0,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        factors = number_of_factors(factors, length)
        _check_arguments(dim, hidden, factors, protocol, residual, start, dropout)
        self.dim, self.hidden, self.factors = dim, hidden, factors
        self.protocol, self.residual, self.recompute = protocol, residual, recompute
        self.offsets = _offsets(protocol, links, factors)
        self.norm_values = nn.LayerNorm(dim) if norm else nn.Identity()
        self.norm_context = nn.LayerNorm(dim) if norm else nn.Identity()
        self.links = LinkNetworks(dim, hidden, factors, len(self.offsets[0]))
        self.g = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.dropout = nn.Dropout(dropout)
        if start != "random":
            self.links.reset_to_constant(_constant_links(self.offsets, residual, start))

    @one_node
    def forward(
        self,
        values: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Mix the positions.

        Args:
            values: (batch, n, dim), any n from 1.
            context: What the links are computed from, (batch, n, dim); None takes `values`.
            mask: (batch, n), True where a position counts; each sample must have its positions
                first and its padding last. Checked, except while compiling, exporting or mapping (`vmap`).
            lengths: Instead of `mask`: how many positions of each sample count, (batch,) integers.

        Returns:
            (batch, n, dim). Each sample is what it is alone, wrapped at its own length; the
            padding is zero, may hold anything, and gets no gradient.

        Raises:
            ValueError: If shapes do not fit, the mask has padding before a position, or both mask
                and lengths are given.
        """
        context = values if context is None else context
        self._check_input(values, context)
        lengths = resolve_lengths(mask, lengths, *values.shape[:2])
        valid = None if lengths is None else real_positions(lengths, values)
        if valid is not None:
            # Multiplying by zero would let the NaN of a padding through.
            values, context = values.where(valid, 0), context.where(valid, 0)
        start = self.g(self.norm_values(values)).to(torch.promote_types(values.dtype, torch.float32))
        if valid is not None:
            start = start.where(valid, 0)
        mixed = self._chain(start, self.norm_context(context), lengths)
        return self.dropout(mixed.to(values.dtype))

    def _chain(self, start: Tensor, context: Tensor, lengths: Tensor | None) -> Tensor:
        """Apply the factors, W_1 first."""
        values = start
        # The transforms of `torch.func` keep what they need themselves, and refuse checkpoints.
        recompute = self.recompute and not is_transformed(start, context, *self.links.parameters())
        if recompute and self.training and torch.is_grad_enabled():
            for factor in range(self.factors):
                mixed = checkpoint(
                    self._link_and_mix, values, start, context, lengths, factor,
                    use_reentrant=False, preserve_rng_state=False,
                )  # fmt: skip
                assert isinstance(mixed, Tensor)
                values = mixed
            return values
        at_once = self.links.at_once(context)
        for first in range(0, self.factors, at_once):
            last = min(self.factors, first + at_once)
            for factor, links in enumerate(self.links(context, first, last), start=first):
                values = self._mix(values, start, links, lengths, factor)
        return values

    def _link_and_mix(
        self, values: Tensor, start: Tensor, context: Tensor, lengths: Tensor | None, factor: int
    ) -> Tensor:
        (links,) = self.links(context, factor, factor + 1)
        return self._mix(values, start, links, lengths, factor)

    def _mix(
        self, values: Tensor, start: Tensor, links: Tensor, lengths: Tensor | None, factor: int
    ) -> Tensor:
        running = self.residual == "running"
        mixed = link_mix(values, links, self.offsets[factor], residual=running, lengths=lengths)
        return mixed + start if self.residual == "fixed" else mixed

    def _check_input(self, values: Tensor, context: Tensor) -> None:
        if values.dim() != 3 or values.shape[2] != self.dim or 0 in values.shape:
            raise ValueError(
                f"expected values (batch, positions, {self.dim}) with a sample and a position at least, "
                f"got {tuple(values.shape)}; build Paramixer(dim=...) with the channels of the input."
            )
        if context.shape != values.shape:
            raise ValueError(
                f"the context must have the shape of the values {tuple(values.shape)}, got "
                f"{tuple(context.shape)}."
            )

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return (
            f"{self.dim}, {self.hidden}, protocol={self.protocol!r}, factors={self.factors}, "
            f"n_links={self.links.n_links}, residual={self.residual!r}, recompute={self.recompute}"
        )


def number_of_factors(factors: int | None, length: int | None, name: str = "factors") -> int:
    """Return the number of factors, given or for a length: the smallest M with 2**M >= `length`, at least 1.

    Raises:
        ValueError: If not exactly one of the two is given, or the length is below 1.
    """
    if (factors is None) == (length is None):
        raise ValueError(
            f"give either {name} or the length they are made for, got {name}={factors} and length={length}."
        )
    if factors is not None:
        return factors
    assert length is not None
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    return max(1, (length - 1).bit_length())


def _offsets(protocol: LinkProtocol, links: int, factors: int) -> tuple[tuple[int, ...], ...]:
    """Return the offsets of each factor."""
    if protocol == "cdil":
        return tuple(cdil_offsets(factor, links) for factor in range(factors))
    if links not in (CDIL_LINKS, factors + 1):
        raise ValueError(
            f'protocol="chord" has one link more than factors, here {factors + 1}; leave links out, got '
            f"{links}."
        )
    return (chord_offsets(factors),) * factors


def _constant_links(offsets: tuple[tuple[int, ...], ...], residual: str | None, start: str) -> Tensor:
    """Return the links (factors, links of a row) that every position starts with."""
    if start == "uniform" and (residual == "fixed" or len(offsets[0]) == 1):
        raise ValueError(
            f'start="uniform" takes links to other positions and residual="running" or None, got '
            f"{len(offsets[0])} links and residual={residual!r}."
        )
    to_itself, ahead = (1.0, 0.0) if start == "identity" else (math.sqrt(0.5), math.sqrt(0.5))
    links = torch.zeros(len(offsets), len(offsets[0]), device="cpu")  # a network on "meta" has them too
    for factor, leads_to in enumerate(offsets):
        if ahead:
            links[factor, leads_to.index(2**factor)] = ahead
        # What the residual adds is a link to itself already.
        links[factor, leads_to.index(0)] = to_itself if residual is None else to_itself - 1
    return links


def _check_arguments(
    dim: int, hidden: int, factors: int, protocol: str, residual: str | None, start: str, dropout: float
) -> None:
    for name, value in {"dim": dim, "hidden": hidden, "factors": factors}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if protocol not in get_args(LinkProtocol):
        raise ValueError(f"protocol must be one of {', '.join(get_args(LinkProtocol))}, got {protocol!r}.")
    if residual is not None and residual not in get_args(Residual):
        raise ValueError(f'residual must be "running", "fixed" or None, got {residual!r}.')
    if start not in get_args(StartLinks):
        raise ValueError(f"start must be one of {', '.join(get_args(StartLinks))}, got {start!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}.")
