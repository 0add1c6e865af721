"""The long products of a decomposition, in the layouts and by the library that are fast.

X is taken as it lies, channel by channel or position by position (as channels-last images are), and never
copied; codes, (batch, rank, positions) to whoever reads them, lie as it does. With AVX-512, oneDNN takes half
the time of MKL, which PyTorch's own product calls, for matrices this thin; it is used wherever no graph is
recorded. Which one it is depends on machine and sizes alone: what is repeated gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from subquad.ops.transforms import is_dual, is_known, is_transformed

_CHUNK = 32  # channels that are squared at a time: what they take stays in the cache
_PART = 2048  # positions whose codes are updated at a time
_WORTH = 2**23  # multiply-adds of a product, from which on oneDNN makes up for what a call of it takes


def project(x: Tensor, dictionary: Tensor) -> Tensor:
    """Return D'X, (batch, rank, positions)."""
    if not is_known(x):
        return product(dictionary.mT, x)
    if lies_by_position(x):
        return product(x.mT, dictionary).mT
    if _thin(x, dictionary):
        return _each(lambda x, d: _one_dnn(d.mT, x.mT), x, dictionary)
    # With a graph: beside codes that oneDNN made, in their layout; else as MKL prefers it.
    return product(dictionary.mT, x) if _suits_one_dnn(x, dictionary) else product(x.mT, dictionary).mT


def collect(x: Tensor, codes: Tensor) -> Tensor:
    """Return X C', (batch, dim, rank)."""
    if not (is_known(x) and lies_by_position(x)):
        return product(x, codes.mT)
    if not _thin(codes, x.mT):
        return product(codes, x.mT).mT
    # oneDNN copies codes that lie so: some positions at a time, not to hold them twice.
    total = x.new_zeros(len(x), codes.shape[-2], x.shape[-2])
    for some, some_codes in zip(x.split(_PART, dim=-1), codes.split(_PART, dim=-1), strict=True):
        total += product(some_codes, some.mT)
    return total.mT


def combine(matrix: Tensor, codes: Tensor) -> Tensor:
    """Return S C for a symmetric matrix S (batch, rank, rank), (batch, rank, positions)."""
    if is_known(codes) and lies_by_position(codes):
        return product(codes.mT, matrix).mT
    # Some positions out of all of them: copied, as oneDNN takes whole matrices.
    return product(matrix, codes if torch.is_grad_enabled() else codes.contiguous())


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return `left @ right` of two batches of matrices, in float32 if they are bfloat16."""
    is_half = left.dtype == torch.bfloat16
    known = is_known(left) and is_known(right)
    if _thin(left, right):
        whole = _each(lambda a, b: _one_dnn(a, b.mT), left, right)
    elif known and len(left) == 1:  # faster than as a batch
        whole = (left.squeeze(0) @ right.squeeze(0)).unsqueeze(0)
    elif known and is_half and left.is_cpu:  # a batch in bfloat16 is slow, however large
        whole = torch.stack([a @ b for a, b in zip(left, right, strict=True)])
    else:
        whole = left @ right
    return whole.float() if is_half else whole


def divided(numbers: Tensor, unit: Tensor) -> Tensor:
    """Return numbers in a unit (batch, 1, 1); themselves where one may look and the unit is 1."""
    if is_known(unit) and unit.is_cpu and bool((unit == 1).all()):
        return numbers
    return numbers / unit


def lies_by_position(x: Tensor) -> bool:
    """Say whether the numbers of a position lie next to each other, for (batch, rows, positions)."""
    return x.stride(-2) == 1 and x.stride(-1) != 1


def softmax_of_columns(scores: Tensor) -> Tensor:
    """Return softmax over the columns of a dictionary, laid out as its scores (batch, rank, positions)."""
    if is_known(scores) and lies_by_position(scores):
        return scores.mT.softmax(dim=-1).mT
    return scores.softmax(dim=-2)


def in_parts(
    function: Callable[[Tensor, Tensor | None], Tensor], numbers: Tensor, beside: Tensor | None
) -> Tensor:
    """Apply a function of single positions to (batch, rows, positions); in place where no graph is recorded.

    There it goes by some thousand positions at a time, so that what it takes beside its result is small, and
    stays in the cache.

    Args:
        function: Of the numbers of some positions and what is beside them; it may use the former up.
        numbers: (batch, rows, positions), used up.
        beside: The same number of positions, or None.
    """
    if torch.is_grad_enabled() or not is_known(numbers):
        return function(numbers, beside)
    parts = numbers.split(_PART, dim=-1)
    others = [None] * len(parts) if beside is None else beside.split(_PART, dim=-1)
    for part, other in zip(parts, others, strict=True):
        result = function(part, other)
        if result is not part:
            part.copy_(result)
    return numbers


def column_norm(x: Tensor) -> Tensor:
    """Return the length of each column of X, (batch, 1, positions).

    Where columns are far apart in memory, PyTorch's norm takes ten times as long as sums of a few channels.
    """
    if not is_known(x) or not x.is_cpu or x.stride(-2) == 1:
        return torch.linalg.vector_norm(x, dim=-2, keepdim=True)
    squares = [channels.square().sum(dim=-2, keepdim=True) for channels in x.split(_CHUNK, dim=-2)]
    total = torch.cat(squares, dim=-2).sum(dim=-2, keepdim=True)
    inside = total > 0  # the root has no gradient at zero
    return total.where(inside, 1).sqrt().where(inside, 0)


def largest_entry(x: Tensor) -> Tensor:
    """Return the largest magnitude of each sample, (batch, 1, 1): PyTorch's norm takes ten times as long."""
    axes = (-2, -1)
    return torch.maximum(x.amax(axes, keepdim=True), x.amin(axes, keepdim=True).neg())


def _thin(left: Tensor, right: Tensor) -> bool:
    """Say whether oneDNN is to multiply two batches of matrices, (batch, m, k) and (batch, k, n)."""
    needs_graph = torch.is_grad_enabled() and (left.requires_grad or right.requires_grad)
    if needs_graph or not _suits_one_dnn(left, right) or is_transformed(left, right):
        return False
    return _is_whole(left) and _is_whole(right) and not is_dual(left, right)


def _is_whole(matrices: Tensor) -> bool:
    """Say whether each matrix lies without gaps: of a part of one, oneDNN takes a hundred times as long."""
    return matrices[0].is_contiguous() or matrices[0].mT.is_contiguous()


def _suits_one_dnn(left: Tensor, right: Tensor) -> bool:
    if torch.compiler.is_compiling() or not (left.dtype == right.dtype == torch.float32 and left.is_cpu):
        return False
    return left.shape[-2] * left.shape[-1] * right.shape[-1] >= _WORTH and _has_one_dnn()


@cache
def _has_one_dnn() -> bool:
    fast = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.backends.mkldnn.is_available()
    return fast and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _one_dnn(left: Tensor, right: Tensor) -> Tensor:
    """Return `left @ right.mT` of two matrices; without a graph."""
    linear: Any = torch.ops.mkldnn._linear_pointwise
    return linear(left, right, None, "none", [], "")


def _each(function: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    """Apply a function to two matrices of each sample, one sample after the other."""
    first = function(left[0], right[0])
    if len(left) == 1:
        return first.unsqueeze(0)
    whole = first.new_empty(len(left), *first.shape)
    whole[0] = first
    for sample in range(1, len(left)):
        whole[sample] = function(left[sample], right[sample])
    return whole
