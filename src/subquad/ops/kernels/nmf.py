"""Iterations of NMF that read X once each, and their gradient by plain PyTorch.

A program takes a few tiles of positions of one sample. It updates the codes of each, C <- C * (D'X) /
(D'D C + eps), and then, while the tiles are in the caches, sums up their share of X C' and of C'C. PyTorch
adds the shares of the programs: nothing is added atomically, so the result does not depend on the order
of threads. X may have any strides: of pictures in channels_last a position is a row already.

Here codes lie position by position, (batch, n, rank). Factors and sums are float32, or float64 if X is.
Products take both of their sides in bfloat16 if X is that, else in float32 as three products of the tensor
cores.

What a pass moves: X once, the codes out and in. With 1 x 512 x 16,384 and rank 64 that is 17 MB of X in
bfloat16 and 8 MB of codes, or 0.005 ms at the 4.8 TB/s of an H200; 6 steps have their floor at 0.03 to
0.05 ms. The caches, of 50 MB, move more: X a second time, the dictionary for every program, and the shares,
19 MB written and read.
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

CHANNELS = 64  # of a tile that are read at a time
SIMULATED_PROCESSORS = 4


@triton.jit
def _pass_kernel(  # pyright: ignore[reportUnusedFunction]
    x, dictionary, gram, unit, codes, updated, sums, n, dim, rank, programs, tiles,
    to_sample, to_channel, to_position,
    EPS: tl.constexpr, START: tl.constexpr, SUMS: tl.constexpr, ROUNDED: tl.constexpr, FACTOR: tl.constexpr,
    INDEX: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr, RANK: tl.constexpr,
):  # fmt: skip
    sample = (tl.program_id(0) // programs).to(tl.int64)  # entries may be more than 2**31
    first = (tl.program_id(0) % programs).to(tl.int64) * tiles * ROWS
    x += sample * to_sample + first * to_position
    dictionary += sample * dim * rank
    gram += sample * rank * rank
    codes += (sample * n + first) * rank
    updated += (sample * n + first) * rank
    sums += tl.program_id(0).to(tl.int64) * (dim + rank) * rank
    left = n - first
    scale = tl.load(unit + sample)
    inverse = 1 / scale
    columns = tl.arange(0, RANK)
    ours = (columns < rank)[None, :]
    square = columns[:, None] * rank + columns[None, :]
    for tile in range(tiles):
        rows = tile * ROWS + tl.arange(0, ROWS)
        real = rows < left
        places = rows[:, None].to(INDEX) * to_position
        overlap = tl.zeros((ROWS, RANK), updated.dtype.element_ty)
        for start in range(0, dim, CHANNELS):
            channels = start + tl.arange(0, CHANNELS)
            there = channels < dim
            block = tl.load(
                x + places + channels[None, :].to(INDEX) * to_channel,
                mask=real[:, None] & there[None, :],
                other=0.0,
            )
            atoms = tl.load(
                dictionary + channels[:, None] * rank + columns[None, :],
                mask=there[:, None] & ours,
                other=0.0,
            )
            atoms = (atoms * inverse).to(ROUNDED).to(FACTOR)
            overlap += tl.dot(block.to(ROUNDED).to(FACTOR), atoms, input_precision="tf32x3")
        here = rows[:, None].to(INDEX) * rank + columns[None, :]
        fits = real[:, None] & ours
        if START:
            logits = tl.where(ours, overlap * scale, float("-inf"))
            before = tl.exp(logits - tl.max(logits, 1, keep_dims=True))
            before = before / tl.sum(before, 1, keep_dims=True)
        else:
            before = tl.load(codes + here, mask=fits, other=0.0)
        grams = tl.load(gram + square, mask=(columns < rank)[:, None] & ours, other=0.0)
        below = tl.dot(before, grams, input_precision="tf32x3") + EPS
        # Rows past n and columns past the rank have no overlap, so their codes are zero.
        after = before * tl.maximum(overlap, 0.0, propagate_nan=tl.PropagateNan.ALL) / below
        tl.store(updated + here, after, mask=fits)
    if SUMS:
        tl.debug_barrier()  # other threads of this program wrote the codes
        inner = tl.zeros((RANK, RANK), updated.dtype.element_ty)
        for tile in range(tiles):
            rows = tile * ROWS + tl.arange(0, ROWS)
            here = rows[:, None].to(INDEX) * rank + columns[None, :]
            after = tl.load(updated + here, mask=(rows < left)[:, None] & ours, other=0.0)
            after = after.to(ROUNDED).to(FACTOR)
            inner += tl.dot(tl.trans(after), after, input_precision="tf32x3")
        tl.store(sums + dim * rank + square, inner, mask=(columns < rank)[:, None] & ours)
        for start in range(0, dim, CHANNELS):
            channels = start + tl.arange(0, CHANNELS)
            there = (channels < dim)[:, None]
            places = channels[:, None].to(INDEX) * to_channel
            outer = tl.zeros((CHANNELS, RANK), updated.dtype.element_ty)
            for tile in range(tiles):
                rows = tile * ROWS + tl.arange(0, ROWS)
                real = rows < left
                block = tl.load(
                    x + places + rows[None, :].to(INDEX) * to_position, mask=there & real[None, :], other=0.0
                )
                here = rows[:, None].to(INDEX) * rank + columns[None, :]
                after = tl.load(updated + here, mask=real[:, None] & ours, other=0.0)
                after = (after * inverse).to(ROUNDED).to(FACTOR)
                outer += tl.dot(block.to(ROUNDED).to(FACTOR), after, input_precision="tf32x3")
            tl.store(sums + channels[:, None] * rank + columns[None, :], outer, mask=there & ours)


def _pass(
    x: Tensor, dictionary: Tensor, codes: Tensor | None, unit: Tensor, eps: float, with_sums: bool
) -> tuple[Tensor, Tensor]:
    """Return the next codes, and the shares of X C' / unit and C'C, (batch, programs, dim + rank, rank)."""
    batch, dim, n = x.shape
    rank, kind = dictionary.shape[2], precision_of(x)
    dictionary, unit = dictionary.to(kind).contiguous(), unit.to(kind).contiguous()
    before = None if codes is None else codes.to(kind).contiguous()
    rounded = {torch.float64: tl.float64, torch.bfloat16: tl.bfloat16}.get(x.dtype, tl.float32)
    padded = max(16, triton.next_power_of_2(rank))
    rows, options = blocks(rounded, padded)
    programs, tiles = _shared_out(x, triton.cdiv(n, rows))
    after = x.new_empty((batch, n, rank), dtype=kind)
    shares = x.new_empty((batch, programs if with_sums else 0, dim + rank, rank), dtype=kind)
    kernel: Any = _pass_kernel
    # The simulation multiplies the bits of bfloat16; float32 holds the same numbers.
    simulated = not isinstance(kernel, triton.runtime.JITFunction)
    factor = tl.float32 if rounded == tl.bfloat16 and simulated else rounded
    reach = tiles * rows * max(x.stride(2), rank) + (dim + CHANNELS) * x.stride(1)
    with torch.cuda.device_of(x):
        kernel[(batch * programs,)](
            x, dictionary, dictionary.mT @ dictionary, unit, after if before is None else before, after,
            shares, n, dim, rank, programs, tiles, *(x.stride(axis) for axis in (0, 1, 2)), eps,
            before is None, with_sums, rounded, factor, tl.int32 if reach < 2**31 else tl.int64,
            rows, CHANNELS, padded, **options,
        )  # fmt: skip
    return after, shares


def blocks(rounded: tl.dtype, rank: int) -> tuple[int, dict[str, int]]:
    """Return the positions of a tile, and options of the compiler, that fit the 227 KB of an H100's chip."""
    rows = 64 if rounded == tl.float64 or rank > 64 else 128
    return rows, {"num_warps": 8, "num_stages": 3 if rounded == tl.bfloat16 and rows == 128 else 2}


def _shared_out(x: Tensor, tiles: int) -> tuple[int, int]:
    """Return the programs of a sample, and the tiles of each: one program for each processor."""
    processors = SIMULATED_PROCESSORS
    if x.is_cuda:
        processors = torch.cuda.get_device_properties(x.device).multi_processor_count
    share = triton.cdiv(tiles, max(1, processors // x.shape[0]))
    return triton.cdiv(tiles, share), share


def _step(
    x: Tensor, dictionary: Tensor, codes: Tensor | None, unit: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    codes, shares = _pass(x, dictionary, codes, unit, eps, True)
    sums = shares.sum(1)
    overlap, inner = sums.split([x.shape[1], dictionary.shape[2]], 1)
    dictionary = dictionary.to(sums.dtype)
    return dictionary * overlap.clamp_min(0) / (dictionary @ inner).add_(eps), codes


@torch.library.custom_op("subquad::nmf_iterations", mutates_args=())
def nmf_iterations(
    x: Tensor, dictionary: Tensor, codes: Tensor | None, unit: Tensor, eps: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Update the codes and then the dictionary, `steps` times; without a gradient.

    Args:
        x: X, (batch, dim, n) with any strides, zero where masked.
        dictionary: (batch, dim, rank), rank at most `limits.MOST_RANK`.
        codes: (batch, n, rank), in units of X; None starts from softmax(D'X).
        unit: By which X counts as divided, (batch, 1, 1).
        eps: Added to the denominators, > 0.
        steps: At least 1.

    Returns:
        The dictionary and the codes, contiguous, in the precision of sums.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}.")
    for _ in range(steps - 1):
        dictionary, codes = _step(x, dictionary, codes, unit, eps)
    return _step(x, dictionary, codes, unit, eps)


@torch.library.custom_op("subquad::nmf_step", mutates_args=())
def nmf_step(x: Tensor, dictionary: Tensor, codes: Tensor, unit: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Do one of the `nmf_iterations`, with a gradient for `x`, `dictionary` and `codes`."""
    return _step(x, dictionary, codes, unit, eps)


@torch.library.custom_op("subquad::nmf_codes", mutates_args=())
def nmf_codes(x: Tensor, dictionary: Tensor, codes: Tensor, unit: Tensor, eps: float) -> Tensor:
    """Update the codes alone, with a gradient for `x`, `dictionary` and `codes`."""
    return _pass(x, dictionary, codes, unit, eps, False)[0]


def _codes_like(x: Tensor, dictionary: Tensor) -> Tensor:
    return x.new_empty((x.shape[0], x.shape[2], dictionary.shape[2]), dtype=precision_of(x))


@nmf_codes.register_fake
def _(x: Tensor, dictionary: Tensor, codes: Any, unit: Any, eps: float) -> Tensor:
    return _codes_like(x, dictionary)


@nmf_step.register_fake
@nmf_iterations.register_fake
def _(
    x: Tensor, dictionary: Tensor, codes: Any, unit: Any, eps: float, steps: int = 1
) -> tuple[Tensor, Tensor]:
    return x.new_empty(dictionary.shape, dtype=precision_of(x)), _codes_like(x, dictionary)


def _update(x: Tensor, fixed: Tensor, moved: Tensor, eps: float) -> Tensor:
    """Update one factor, in plain PyTorch: codes if `fixed` is the dictionary, the other if X is turned."""
    return moved * (x.mT @ fixed).clamp_min(0) / (moved @ (fixed.mT @ fixed) + eps)


def _back(x: Tensor, fixed: Tensor, moved: Tensor, eps: float, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of X, `fixed` and `moved` for one of `_update`."""
    overlap, gram = x.mT @ fixed, fixed.mT @ fixed
    below = moved @ gram + eps
    # What is zero stays so, whatever overlaps it; else each iteration may multiply its gradient by 1 / eps.
    ratio = overlap.clamp_min(0).where(moved != 0, 0) / below
    to_overlap = (grad * moved / below).where(overlap >= 0, 0)
    to_below = -grad * moved * ratio / below
    to_gram = moved.mT @ to_below
    to_fixed = x @ to_overlap + fixed @ (to_gram + to_gram.mT)
    return fixed @ to_overlap.mT, to_fixed, grad * ratio + to_below @ gram


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


def _kept(ctx: Any) -> tuple[Tensor, Tensor, Tensor]:
    x, dictionary, codes, unit = ctx.saved_tensors
    kind = precision_of(x)
    # A gradient times X, of 1e30, overflows before it is divided.
    return x.to(kind) / unit.to(kind), dictionary.to(kind), codes.to(kind)


def _typed(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    x, dictionary, codes, unit = ctx.saved_tensors
    to_x, to_dictionary, to_codes = grads
    to_x = (to_x / unit.to(to_x.dtype)).to(x.dtype)
    return to_x, to_dictionary.to(dictionary.dtype), to_codes.to(codes.dtype), None, None


def _codes_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, dictionary, codes = _kept(ctx)
    return _typed(ctx, *_back(x, dictionary, codes, ctx.eps, grad))


def _step_gradient(ctx: Any, to_dictionary: Tensor, to_codes: Tensor) -> tuple[Tensor | None, ...]:
    x, dictionary, codes = _kept(ctx)
    after = _update(x, dictionary, codes, ctx.eps)
    turned, to_after, directly = _back(x.mT, after, dictionary, ctx.eps, to_dictionary)
    to_x, through_codes, to_codes = _back(x, dictionary, codes, ctx.eps, to_codes + to_after)
    return _typed(ctx, to_x + turned.mT, directly + through_codes, to_codes)


nmf_codes.register_autograd(_codes_gradient, setup_context=_keep)
nmf_step.register_autograd(_step_gradient, setup_context=_keep)
for _operation in (nmf_codes, nmf_step, nmf_iterations):
    _operation.register_vmap(partial(as_one_batch, _operation))
