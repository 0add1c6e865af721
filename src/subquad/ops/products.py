"""The two products of a decomposition that are as long as the data, in the layouts that are fast.

Codes are (batch, rank, positions) to whoever reads them, and lie in memory position by position: the few
numbers of a position next to each other, so that X'D, codes times a small matrix and softmax over the columns
all run along rows. X is taken as it lies, channel by channel or position by position, and never copied.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from subquad.ops.transforms import is_known

_CHUNK = 32  # channels that are squared at a time: what they take stays in the cache


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return `left @ right` of two batches of matrices, in float32 if they are bfloat16.

    A product of matrices is faster than a batch of one; in bfloat16 on a CPU, than a batch of any size.
    """
    is_half = left.dtype == torch.bfloat16
    alone = is_known(left) and is_known(right) and (len(left) == 1 or (is_half and left.is_cpu))
    if alone:
        both = [one @ other for one, other in zip(left, right, strict=True)]
        whole = both[0].unsqueeze(0) if len(both) == 1 else torch.stack(both)
    else:
        whole = left @ right
    return whole.float() if is_half else whole


def over_positions(function: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """Apply a function to codes (batch, rank, positions) as (batch, positions, rank)."""
    return function(codes.mT).mT


def project(x: Tensor, dictionary: Tensor) -> Tensor:
    """Return D'X, (batch, rank, positions)."""
    return product(x.mT, dictionary).mT


def combine(matrix: Tensor, codes: Tensor) -> Tensor:
    """Return S C for a symmetric matrix S (batch, rank, rank), (batch, rank, positions)."""
    return product(codes.mT, matrix).mT


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
