"""The product by sparse links with its derivatives, for every transform of PyTorch.

Three operations, each linear in each argument, are closed under differentiation:

- mix:       y[i]    = sum_k links[i, k] * x[i + o_k]
- mix, back: y[i]    = sum_k links[i - o_k, k] * x[i - o_k]      (mix, transposed)
- compare:   l[i, k] = <x[i], z[i + o_k]>

Positions wrap at the length of each sample. Rows past it are zero and never read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from subquad.ops.autocast import autocast_off
from subquad.ops.link_packed import compare_packed, mix_packed, mix_packed_back, runs_are_short
from subquad.ops.link_rows import compare_rows, mix_rows, mix_rows_back
from subquad.ops.link_shifts import compare_shifts, mix_shifts, mix_shifts_back
from subquad.ops.transforms import as_one_batch

Offsets = tuple[int, ...]


class _Way(NamedTuple):
    """How the three operations are computed."""

    mix: Callable[..., Tensor]
    mix_back: Callable[..., Tensor]
    compare: Callable[..., Tensor]


_SHIFTS = _Way(mix_shifts, mix_shifts_back, compare_shifts)
_PACKED = _Way(mix_packed, mix_packed_back, compare_packed)
_ROWS = _Way(mix_rows, mix_rows_back, compare_rows)


def _way(x: Tensor, lengths: Tensor | None) -> _Way:
    # A compiler fuses ordinary operations. For a GPU the others are too many launches where samples wrap
    # differently.
    if torch.compiler.is_compiling() or (x.is_cuda and lengths is not None):
        return _SHIFTS
    return _PACKED if lengths is not None and runs_are_short(x, lengths) else _ROWS


def mix(
    x: Tensor, links: Tensor, lengths: Tensor | None, offsets: Offsets, residual: bool, back: bool
) -> Tensor:
    """Return mix of `x` (batch, n, dim) and the links, or mix back, plus `x` if `residual`; of its type."""
    function = _Mix if torch.compiler.is_compiling() else _ForwardMix
    y = function.apply(x, links, lengths, offsets, residual, back)
    assert isinstance(y, Tensor)
    return y


def compare(x: Tensor, z: Tensor, lengths: Tensor | None, offsets: Offsets) -> Tensor:
    """Return compare of `x` and `z`, both (batch, n, dim), in the precision of sums."""
    y = _Compare.apply(x, z, lengths, offsets)
    assert isinstance(y, Tensor)
    return y


class _Mix(torch.autograd.Function):
    """Mix, whose derivatives are mix and compare."""

    @staticmethod
    def forward(
        x: Tensor, links: Tensor, lengths: Tensor | None, offsets: Offsets, residual: bool, back: bool
    ) -> Tensor:
        """Return the mixed values."""
        way = _way(x, lengths)
        return (way.mix_back if back else way.mix)(x, links, offsets, residual, lengths).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the values and the links, nothing else."""
        x, links, ctx.lengths, ctx.offsets, ctx.residual, ctx.back = inputs
        ctx.save_for_backward(x, links)
        ctx.save_for_forward(x, links)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the values and the links."""
        (grad,) = grads
        x, links = ctx.saved_tensors
        options = ctx.lengths, ctx.offsets
        if torch.compiler.is_compiling():  # which differentiates what it sees
            turned, compared = _Mix.forward, _Compare.forward
        else:
            turned, compared = mix, compare
        to_x = to_links = None
        with autocast_off(grad):
            if ctx.needs_input_grad[0]:
                to_x = turned(grad, links, *options, ctx.residual, not ctx.back).to(x.dtype)
            if ctx.needs_input_grad[1]:
                left, right = (x, grad) if ctx.back else (grad, x)
                to_links = compared(left, right, *options).to(links.dtype)
        return to_x, to_links, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Tensor, int]:
        """Take the samples of all for one batch."""
        return as_one_batch(mix, info, in_dims, *inputs)


class _ForwardMix(_Mix):
    """The same with derivatives in forward mode, which compilers do not take."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """Return the derivative along these tangents of values and links."""
        x, links = ctx.saved_tensors
        to_x, to_links = tangents[:2]
        options = ctx.lengths, ctx.offsets
        along_x = mix(to_x, links, *options, ctx.residual, ctx.back)
        return along_x + mix(x, to_links, *options, False, ctx.back)


class _Compare(torch.autograd.Function):
    """Compare, whose derivatives are mix and compare."""

    @staticmethod
    def forward(x: Tensor, z: Tensor, lengths: Tensor | None, offsets: Offsets) -> Tensor:
        """Return the products of rows."""
        return _way(x, lengths).compare(x, z, offsets, lengths)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep both arguments."""
        x, z, ctx.lengths, ctx.offsets = inputs
        ctx.save_for_backward(x, z)
        ctx.save_for_forward(x, z)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of both."""
        (grad,) = grads
        x, z = ctx.saved_tensors
        to_x = to_z = None
        with autocast_off(grad):
            if ctx.needs_input_grad[0]:
                to_x = mix(z, grad, ctx.lengths, ctx.offsets, False, False).to(x.dtype)
            if ctx.needs_input_grad[1]:
                to_z = mix(x, grad, ctx.lengths, ctx.offsets, False, True).to(z.dtype)
        return to_x, to_z, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Tensor, int]:
        """Take the samples of all for one batch."""
        return as_one_batch(compare, info, in_dims, *inputs)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """Return the derivative along these tangents."""
        x, z = ctx.saved_tensors
        to_x, to_z = tangents[:2]
        options = ctx.lengths, ctx.offsets
        return compare(to_x, z, *options) + compare(x, to_z, *options)
