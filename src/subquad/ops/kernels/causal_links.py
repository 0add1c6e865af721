"""A factor of causal links in one launch, and its gradients, which are gathers of the same kind.

With S the shift by `offset` rows, zeros before the start, and one gate for the channels of a head:

- mix:      y[i] = x[i] + a[i] * ((S x)[i] - x[i])
- mix_back: y[i] = x[i] - a[i] * x[i] + a[i + offset] * x[i + offset]      (mix, transposed)
- compare:  l[i, head] = <x[i], (S z)[i] - z[i]> over the channels of the head

These are closed under differentiation. Nothing is added atomically, so the result does not depend on the
order of threads.
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
    x, gates, y, n, dim, heads, offset,
    BACK: tl.constexpr, WIDE: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    blocks = (n + ROWS - 1) // ROWS
    first = (tl.program_id(0) // blocks).to(tl.int64) * n  # entries may be more than 2**31
    rows = tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    head = channels // (dim // heads)
    there = rows + offset if BACK else rows - offset
    inside = (rows < n)[:, None] & (channels < dim)[None, :]
    reached = inside & ((there >= 0) & (there < n))[:, None]
    kind = tl.float64 if WIDE else tl.float32
    at = (first + rows)[:, None]
    at_there = (first + there)[:, None]
    here = tl.load(x + at * dim + channels[None, :], mask=inside, other=0.0).to(kind)
    other = tl.load(x + at_there * dim + channels[None, :], mask=reached, other=0.0).to(kind)
    gate = tl.load(gates + at * heads + head[None, :], mask=inside, other=0.0).to(kind)
    gate_there = gate
    if BACK:
        gate_there = tl.load(gates + at_there * heads + head[None, :], mask=reached, other=0.0).to(kind)
    total = here - gate * here + gate_there * other
    tl.store(y + at * dim + channels[None, :], total.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _compare_kernel(  # pyright: ignore[reportUnusedFunction]
    x, z, y, n, dim, heads, offset, WIDE: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    blocks = (n + ROWS - 1) // ROWS
    first = (tl.program_id(0) // blocks).to(tl.int64) * n
    rows = tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)
    head = tl.program_id(1)
    size = dim // heads
    there = rows - offset
    at = (first + rows)[:, None]
    at_there = (first + there)[:, None]
    total = tl.zeros((ROWS,), tl.float64 if WIDE else tl.float32)
    for start in range(0, size, CHANNELS):
        within = start + tl.arange(0, CHANNELS)
        channels = (head * size + within)[None, :]
        inside = (rows < n)[:, None] & (within < size)[None, :]
        left = tl.load(x + at * dim + channels, mask=inside, other=0.0).to(total.dtype)
        here = tl.load(z + at * dim + channels, mask=inside, other=0.0).to(total.dtype)
        reached = inside & (there >= 0)[:, None]
        other = tl.load(z + at_there * dim + channels, mask=reached, other=0.0).to(total.dtype)
        total += tl.sum(left * (other - here), axis=1)
    tl.store(y + (first + rows) * heads + head, total.to(y.dtype.element_ty), mask=rows < n)


@torch.library.custom_op("subquad::mix_causal_links", mutates_args=())
def mix_causal_links(x: Tensor, gates: Tensor, offset: int, back: bool) -> Tensor:
    """Return mix of `x` and the gates, or mix_back; of the type of `x`.

    Args:
        x: (batch, n, dim).
        gates: (batch, n, heads); `heads` divides `dim`.
        offset: At least 1.
        back: Whether it is mix_back.
    """
    x, gates = x.contiguous(), gates.contiguous()
    batch, n, dim = x.shape
    y = torch.empty_like(x)
    channels = min(MOST_CHANNELS, triton.next_power_of_2(dim))
    kernel: Any = _mix_kernel
    with torch.cuda.device_of(x):
        kernel[(batch * triton.cdiv(n, ROWS), triton.cdiv(dim, channels))](
            x, gates, y, n, dim, gates.shape[2], offset, back, precision_of(x) == torch.float64,
            ROWS, channels,
        )  # fmt: skip
    return y


@torch.library.custom_op("subquad::compare_causal_links", mutates_args=())
def compare_causal_links(x: Tensor, z: Tensor, heads: int, offset: int) -> Tensor:
    """Return compare of `x` and `z`, (batch, n, heads), in the precision of sums.

    Args:
        x: (batch, n, dim).
        z: (batch, n, dim).
        heads: Divides `dim`.
        offset: At least 1.
    """
    x, z = x.contiguous(), z.contiguous()
    batch, n, dim = x.shape
    y = x.new_empty((batch, n, heads), dtype=precision_of(x))
    channels = min(MOST_CHANNELS, triton.next_power_of_2(dim // heads))
    kernel: Any = _compare_kernel
    with torch.cuda.device_of(x):
        kernel[(batch * triton.cdiv(n, ROWS), heads)](
            x, z, y, n, dim, heads, offset, precision_of(x) == torch.float64, ROWS, channels
        )
    return y


@mix_causal_links.register_fake
def _(x: Tensor, gates: Tensor, offset: int, back: bool) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@compare_causal_links.register_fake
def _(x: Tensor, z: Tensor, heads: int, offset: int) -> Tensor:
    return x.new_empty((*x.shape[:2], heads), dtype=precision_of(x))


def _keep_mix(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, gates, ctx.offset, ctx.back = inputs
    ctx.save_for_backward(x, gates)


def _mix_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, gates = ctx.saved_tensors
    to_x = to_gates = None
    if ctx.needs_input_grad[0]:
        to_x = mix_causal_links(grad, gates, ctx.offset, not ctx.back).to(x.dtype)
    if ctx.needs_input_grad[1]:
        left, right = (x, grad) if ctx.back else (grad, x)
        to_gates = compare_causal_links(left, right, gates.shape[2], ctx.offset).to(gates.dtype)
    return to_x, to_gates, None, None


def _keep_compare(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, z, _, ctx.offset = inputs
    ctx.save_for_backward(x, z)


def _compare_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, z = ctx.saved_tensors
    to_x = to_z = None
    if ctx.needs_input_grad[0]:
        to_x = (mix_causal_links(z, grad, ctx.offset, False) - z).to(x.dtype)
    if ctx.needs_input_grad[1]:
        to_z = (mix_causal_links(x, grad, ctx.offset, True) - x).to(z.dtype)
    return to_x, to_z, None, None


mix_causal_links.register_autograd(_mix_gradient, setup_context=_keep_mix)
compare_causal_links.register_autograd(_compare_gradient, setup_context=_keep_compare)
mix_causal_links.register_vmap(partial(as_one_batch, mix_causal_links))
compare_causal_links.register_vmap(partial(as_one_batch, compare_causal_links))
