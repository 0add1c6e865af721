"""The product by sparse links in one launch, and its gradients, which are gathers of the same kind.

Three operations, each linear in each argument, are closed under differentiation:

- mix:      y[i]    = sum_k links[i, k] * x[i + o_k]
- mix_back: y[i]    = sum_k links[i - o_k, k] * x[i - o_k]      (mix, transposed)
- compare:  l[i, k] = <x[i], z[i + o_k]>

Positions wrap at the length of each sample. Rows past it are zero and never read. Nothing is added
atomically, so the result does not depend on the order of threads.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from subquad.ops.link_rows import precision_of
from subquad.ops.transforms import as_one_batch

ROWS = 64  # positions of a program
MOST_CHANNELS = 64  # of a program


@triton.jit
def _mix_kernel(  # pyright: ignore[reportUnusedFunction]
    x, links, lengths, y, n, dim,
    OFFSETS: tl.constexpr, LINKS: tl.constexpr, BACK: tl.constexpr, RESIDUAL: tl.constexpr,
    HAS_LENGTHS: tl.constexpr, WIDE: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    blocks = (n + ROWS - 1) // ROWS
    sample = tl.program_id(0) // blocks
    first = sample.to(tl.int64) * n  # row of the sample; entries may be more than 2**31
    rows = tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    length = n
    if HAS_LENGTHS:
        length = tl.minimum(tl.load(lengths + sample), n)
    real = rows < length
    wrap = tl.maximum(length, 1)
    fits = real[:, None] & (channels < dim)[None, :]
    here = (first + rows)[:, None] * dim + channels[None, :]
    total = tl.zeros((ROWS, CHANNELS), tl.float64 if WIDE else tl.float32)
    if RESIDUAL:
        total += tl.load(x + here, mask=fits, other=0.0).to(total.dtype)
    for k in tl.static_range(LINKS):  # pyright: ignore[reportGeneralTypeIssues]
        offset = (
            (-OFFSETS[k] if BACK else OFFSETS[k]) % wrap + wrap
        ) % wrap  # % has the sign of the dividend
        there = rows + offset
        there = tl.where(there >= wrap, there - wrap, there)
        link_rows = there if BACK else rows
        weight = tl.load(links + (first + link_rows) * LINKS + k, mask=real, other=0.0).to(total.dtype)
        taken = tl.load(x + (first + there)[:, None] * dim + channels[None, :], mask=fits, other=0.0)
        total += weight[:, None] * taken.to(total.dtype)
    inside = (rows < n)[:, None] & (channels < dim)[None, :]
    tl.store(y + here, total.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _compare_kernel(  # pyright: ignore[reportUnusedFunction]
    x, z, lengths, y, n, dim,
    OFFSETS: tl.constexpr, LINKS: tl.constexpr, HAS_LENGTHS: tl.constexpr, WIDE: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    blocks = (n + ROWS - 1) // ROWS
    sample = tl.program_id(0) // blocks
    first = sample.to(tl.int64) * n
    rows = tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)
    length = n
    if HAS_LENGTHS:
        length = tl.minimum(tl.load(lengths + sample), n)
    real = rows < length
    wrap = tl.maximum(length, 1)
    for k in tl.static_range(LINKS):  # pyright: ignore[reportGeneralTypeIssues]
        offset = (OFFSETS[k] % wrap + wrap) % wrap
        there = rows + offset
        there = tl.where(there >= wrap, there - wrap, there)
        total = tl.zeros((ROWS,), tl.float64 if WIDE else tl.float32)
        for start in range(0, dim, CHANNELS):
            channels = start + tl.arange(0, CHANNELS)
            fits = real[:, None] & (channels < dim)[None, :]
            left = tl.load(x + (first + rows)[:, None] * dim + channels[None, :], mask=fits, other=0.0)
            right = tl.load(z + (first + there)[:, None] * dim + channels[None, :], mask=fits, other=0.0)
            total += tl.sum(left.to(total.dtype) * right.to(total.dtype), axis=1)
        tl.store(y + (first + rows) * LINKS + k, total.to(y.dtype.element_ty), mask=rows < n)


@torch.library.custom_op("subquad::mix_links", mutates_args=())
def mix_links(
    x: Tensor, links: Tensor, lengths: Tensor | None, offsets: list[int], residual: bool, back: bool
) -> Tensor:
    """Return mix of `x` and the links, or mix_back, plus `x` if `residual`; of the type of `x`.

    Args:
        x: (batch, n, dim).
        links: (batch, n, n_links).
        lengths: int32 (batch,) on the same device, or None.
        offsets: One a link.
        residual: Whether `x` without its padding is added.
        back: Whether it is mix_back.
    """
    x, links, lengths = x.contiguous(), links.contiguous(), _packed(lengths)
    batch, n, dim = x.shape
    y = torch.empty_like(x)
    if not dim:
        return y
    channels = min(MOST_CHANNELS, triton.next_power_of_2(dim))
    grid = (batch * triton.cdiv(n, ROWS), triton.cdiv(dim, channels))
    kernel: Any = _mix_kernel
    with torch.cuda.device_of(x):
        kernel[grid](
            x, links, x if lengths is None else lengths, y, n, dim, tuple(offsets), len(offsets), back,
            residual, lengths is not None, precision_of(x) == torch.float64, ROWS, channels,
        )  # fmt: skip
    return y


@torch.library.custom_op("subquad::compare_links", mutates_args=())
def compare_links(x: Tensor, z: Tensor, lengths: Tensor | None, offsets: list[int]) -> Tensor:
    """Return compare of `x` and `z`, (batch, n, n_links), in the precision of sums.

    Args:
        x: (batch, n, dim).
        z: (batch, n, dim).
        lengths: int32 (batch,) on the same device, or None.
        offsets: One a link.
    """
    x, z, lengths = x.contiguous(), z.contiguous(), _packed(lengths)
    batch, n, dim = x.shape
    y = x.new_empty((batch, n, len(offsets)), dtype=precision_of(x))
    channels = min(MOST_CHANNELS, triton.next_power_of_2(max(1, dim)))
    kernel: Any = _compare_kernel
    with torch.cuda.device_of(x):
        kernel[(batch * triton.cdiv(n, ROWS),)](
            x, z, x if lengths is None else lengths, y, n, dim, tuple(offsets), len(offsets),
            lengths is not None, precision_of(x) == torch.float64, ROWS, channels,
        )  # fmt: skip
    return y


def _packed(lengths: Tensor | None) -> Tensor | None:
    return None if lengths is None else lengths.contiguous()


@mix_links.register_fake
def _(x: Tensor, links: Tensor, lengths: Any, offsets: Any, residual: bool, back: bool) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@compare_links.register_fake
def _(x: Tensor, z: Tensor, lengths: Any, offsets: list[int]) -> Tensor:
    return x.new_empty((*x.shape[:2], len(offsets)), dtype=precision_of(x))


def _keep_mix(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, links, ctx.lengths, ctx.offsets, ctx.residual, ctx.back = inputs
    ctx.save_for_backward(x, links)


def _mix_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, links = ctx.saved_tensors
    to_x = to_links = None
    if ctx.needs_input_grad[0]:
        to_x = mix_links(grad, links, ctx.lengths, ctx.offsets, ctx.residual, not ctx.back).to(x.dtype)
    if ctx.needs_input_grad[1]:
        left, right = (x, grad) if ctx.back else (grad, x)
        to_links = compare_links(left, right, ctx.lengths, ctx.offsets).to(links.dtype)
    return to_x, to_links, None, None, None, None


def _keep_compare(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, z, ctx.lengths, ctx.offsets = inputs
    ctx.save_for_backward(x, z)


def _compare_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, z = ctx.saved_tensors
    to_x = to_z = None
    if ctx.needs_input_grad[0]:
        to_x = mix_links(z, grad, ctx.lengths, ctx.offsets, False, False).to(x.dtype)
    if ctx.needs_input_grad[1]:
        to_z = mix_links(x, grad, ctx.lengths, ctx.offsets, False, True).to(z.dtype)
    return to_x, to_z, None, None


mix_links.register_autograd(_mix_gradient, setup_context=_keep_mix)
compare_links.register_autograd(_compare_gradient, setup_context=_keep_compare)
mix_links.register_vmap(partial(as_one_batch, mix_links))
compare_links.register_vmap(partial(as_one_batch, compare_links))
