"""Mixing by sparse circulant links: the offsets of the protocols, and the product itself.

Row i of a factor holds a few non-zero entries, the links, at fixed offsets from i modulo the length.
The product adds shifted views and builds no index, except for short sequences of many lengths. Source:
Yu et al., "Paramixer: Parameterizing Mixing Links in Sparse Factors Works Better than Dot-Product
Self-Attention", CVPR 2022, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from subquad.ops.decompose import autocast_off
from subquad.ops.dispatch import Impl, use_triton
from subquad.ops.link_packed import compare_packed, mix_packed, mix_packed_back, runs_are_short
from subquad.ops.link_rows import compare_rows, mix_rows, mix_rows_back, precision_of, real_rows

Offsets = tuple[int, ...]


def chord_offsets(factors: int) -> Offsets:
    """Return the offsets of CHORD, the same for all factors: 0, 1, 2, 4, .., 2**(factors - 1).

    With `factors` at least log2 of the length, the product of all factors reaches every position
    from every other.

    Args:
        factors: Number of factors M, at least 1; a row has M + 1 links.

    Raises:
        ValueError: If `factors` is below 1.
    """
    if factors < 1:
        raise ValueError(f"factors must be at least 1, got {factors}.")
    return (0, *(2**k for k in range(factors)))


def cdil_offsets(factor: int, links: int = 9) -> Offsets:
    """Return the offsets of CDIL for one factor: 0, +D, +2D, .., -D, -2D, .. with D = 2**factor.

    Args:
        factor: Which factor, from 0; factor 0 is applied first.
        links: Links of a row, odd; (links - 1) / 2 on each side.

    Raises:
        ValueError: If `factor` is negative or `links` is not a positive odd number.
    """
    if factor < 0:
        raise ValueError(f"factor must be at least 0, got {factor}.")
    if links < 1 or links % 2 == 0:
        raise ValueError(f"CDIL takes an odd number of links, as many on each side, got {links}.")
    steps = [2**factor * k for k in range(1, links // 2 + 1)]
    return (0, *steps, *(-step for step in steps))


def link_mix(
    values: Tensor,
    links: Tensor,
    offsets: Sequence[int],
    *,
    residual: bool = False,
    lengths: Tensor | None = None,
    impl: Impl = "auto",
) -> Tensor:
    """Multiply by one sparse factor: y[b, i] = sum_k links[b, i, k] * values[b, (i + offsets[k]) % n].

    Sums run in float32 (float64 if `values` is), whatever the precision of the arguments. Both
    directions are sums of shifted rows, so nothing depends on the order of threads, and only
    `values` and `links` are kept for the backward pass. Second derivatives exist.

    Args:
        values: (batch, n, dim), any n from 1.
        links: (batch, n, n_links). Links that fall on the same position add up.
        offsets: One integer a link, of either sign and of any size.
        residual: Add `values` to the result.
        lengths: How many positions of each sample count, integers of 0 to n, (batch,); each sample
            wraps at its own length. Rows past it are zero in the result, get no gradient, and are
            never read. A tensor on the CPU spares a wait for the device.
        impl: "auto" adds shifted views, or looks rows up where `lengths` differ and are short, or,
            while compiling or exporting, runs the sum that the compiler fuses into one loop.
            "reference" is that sum, differentiated by PyTorch. "triton" is a kernel for GPUs, one
            launch each way.

    Returns:
        The mixed values, (batch, n, dim), of the type of `values`.

    Raises:
        ValueError: If shapes, types, `lengths` or `impl` do not fit, or Triton cannot run here.
    """
    offsets = tuple(offsets)
    _check(values, links, offsets, lengths)
    if use_triton(impl, values):
        from subquad.ops.kernels.links import mix_links  # Triton is optional

        if max(map(abs, offsets)) >= 2**31:
            raise ValueError(f'impl="triton" takes offsets below 2**31, got {offsets}; use "auto".')
        if lengths is not None:
            lengths = lengths.to(values.device, torch.int32)
        return mix_links(values, links, lengths, list(offsets), residual, False)
    if impl == "reference":
        return _sum_of_shifts(values, links, offsets, residual, lengths)
    mixed = _LinkMix.apply(values, links, offsets, residual, lengths)
    assert isinstance(mixed, Tensor)
    return mixed


class _LinkMix(torch.autograd.Function):
    """The product with its own gradient: gathers in both directions."""

    @staticmethod
    def forward(
        values: Tensor, links: Tensor, offsets: Offsets, residual: bool, lengths: Tensor | None
    ) -> Tensor:
        """Return the mixed values."""
        mix = _way(values, lengths).mix
        return mix(values, links, offsets, residual, lengths).to(values.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the values and the links, nothing else."""
        values, links, ctx.offsets, ctx.residual, ctx.lengths = inputs
        ctx.save_for_backward(values, links)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the values and the links."""
        (grad,) = grads
        values, links = ctx.saved_tensors
        way = _way(values, ctx.lengths, differentiable=torch.is_grad_enabled())
        with autocast_off(grad):
            dvalues = dlinks = None
            if ctx.needs_input_grad[0]:
                dvalues = way.mix_back(grad, links, ctx.offsets, ctx.residual, ctx.lengths).to(values.dtype)
            if ctx.needs_input_grad[1]:
                dlinks = way.compare(grad, values, ctx.offsets, ctx.lengths).to(links.dtype)
        return dvalues, dlinks, None, None, None


class _Way(NamedTuple):
    """How the product and its two gradients are computed."""

    mix: Callable[..., Tensor]
    mix_back: Callable[..., Tensor]
    compare: Callable[..., Tensor]


def _way(values: Tensor, lengths: Tensor | None, differentiable: bool = False) -> _Way:
    # A compiler fuses ordinary operations, and PyTorch differentiates them. For a GPU the others are too
    # many launches where samples wrap differently.
    if differentiable or torch.compiler.is_compiling() or (values.is_cuda and lengths is not None):
        return _Way(_sum_of_shifts, _values_gradient, _links_gradient)
    if lengths is not None and runs_are_short(values, lengths):
        return _Way(mix_packed, mix_packed_back, compare_packed)
    return _Way(mix_rows, mix_rows_back, compare_rows)


# Ordinary operations: the reference, and what a compiler fuses.


def _sum_of_shifts(
    values: Tensor, links: Tensor, offsets: Offsets, residual: bool, lengths: Tensor | None
) -> Tensor:
    source = _without_padding(values.to(precision_of(values)), lengths)
    links = _without_padding(links.to(source.dtype), lengths)
    mixed = source if residual else torch.zeros_like(source)
    for k, offset in enumerate(offsets):
        mixed = mixed + links[..., k, None] * _shifted(source, offset, lengths)
    return _without_padding(mixed, lengths).to(values.dtype)


def _values_gradient(
    grad: Tensor, links: Tensor, offsets: Offsets, residual: bool, lengths: Tensor | None
) -> Tensor:
    grad = _without_padding(grad.to(precision_of(grad)), lengths)
    links = _without_padding(links.to(grad.dtype), lengths)
    total = grad if residual else torch.zeros_like(grad)
    for k, offset in enumerate(offsets):
        total = total + _shifted(links[..., k, None] * grad, -offset, lengths)
    return _without_padding(total, lengths)


def _links_gradient(grad: Tensor, values: Tensor, offsets: Offsets, lengths: Tensor | None) -> Tensor:
    grad = _without_padding(grad.to(precision_of(grad)), lengths)
    values = _without_padding(values.to(grad.dtype), lengths)
    products = [(grad * _shifted(values, offset, lengths)).sum(-1) for offset in offsets]
    return torch.stack(products, dim=-1)


def _shifted(x: Tensor, offset: int, lengths: Tensor | None) -> Tensor:
    """Return x[b, (i + offset) % length of b] at row i."""
    if lengths is None:
        return x.roll(-offset, dims=1)
    rows = torch.arange(x.shape[1], device=x.device) + offset
    # Where samples wrap differently the row is computed; a fused loop does so as it goes.
    rows = rows % lengths.to(x.device).clamp_min(1).unsqueeze(1)
    return x.gather(1, rows.unsqueeze(-1).expand_as(x))


def _without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return x
    return x.where(real_rows(x, lengths).unsqueeze(-1), 0)


def _check(values: Tensor, links: Tensor, offsets: Offsets, lengths: Tensor | None) -> None:
    if values.dim() != 3 or 0 in values.shape[:2]:
        raise ValueError(
            f"values must be (batch, positions, dim) with a sample and a position at least, got "
            f"{tuple(values.shape)}."
        )
    for name, x in {"values": values, "links": links}.items():
        if not x.is_floating_point():
            raise ValueError(f"{name} must be of a floating point type, got {x.dtype}; use .float().")
    expected = (*values.shape[:2], len(offsets))
    if not offsets or links.shape != expected:
        raise ValueError(
            f"links must be (batch, positions, one a link) = {expected} for values "
            f"{tuple(values.shape)} and {len(offsets)} offsets, got {tuple(links.shape)}."
        )
    if lengths is not None:
        check_lengths(lengths, *values.shape[:2])


def check_lengths(lengths: Tensor, batch: int, size: int) -> None:
    """Raise ValueError if `lengths` is not one integer of 0 to `size` for each sample."""
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(
            f"lengths must be {batch} integers, one a sample, got {lengths.dtype} {tuple(lengths.shape)}."
        )
    if torch.compiler.is_compiling():
        return  # what they hold is not known yet
    smallest, largest = min(lengths.tolist()), max(lengths.tolist())
    if smallest < 0 or largest > size:
        raise ValueError(f"lengths must be 0 to {size}, the positions there are, got {lengths.tolist()}.")
