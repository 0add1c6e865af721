"""Sums over links by shifted views, block by block: how `link_mix` computes where nobody compiles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import torch
from torch import Tensor

# Entries of the values that are mixed at a time: a block and what it reads stay in the cache.
_BLOCK = 2**19


def mix_rows(
    values: Tensor, links: Tensor, offsets: tuple[int, ...], residual: bool, lengths: Tensor | None
) -> Tensor:
    """Return the mixed values: a row takes rows further on, weighted by its own links."""
    total = _start(values, residual, lengths)
    for rows in same_lengths(values, lengths):
        part, source = total[rows], values[rows].to(total.dtype)
        columns = links[rows].to(total.dtype).unsqueeze(-1).unbind(2)
        for block in _blocks(source):
            for column, offset in zip(columns, offsets, strict=True):
                for target, origin in _pieces(block, offset, source.shape[1]):
                    part[:, target].addcmul_(column[:, target], source[:, origin])
    return total


def mix_rows_back(
    grad: Tensor, links: Tensor, offsets: tuple[int, ...], residual: bool, lengths: Tensor | None
) -> Tensor:
    """Return the gradient of the values: a row takes from the rows that took it, by their links."""
    total = _start(grad, residual, lengths)
    for rows in same_lengths(grad, lengths):
        part, source = total[rows], grad[rows].to(total.dtype)
        columns = links[rows].to(total.dtype).unsqueeze(-1).unbind(2)
        for block in _blocks(source):
            for column, offset in zip(columns, offsets, strict=True):
                for target, origin in _pieces(block, -offset, source.shape[1]):
                    part[:, target].addcmul_(column[:, origin], source[:, origin])
    return total


def compare_rows(grad: Tensor, values: Tensor, offsets: tuple[int, ...], lengths: Tensor | None) -> Tensor:
    """Return the gradient of the links: products of a row's gradient with the rows it took."""
    total = grad.new_zeros((*grad.shape[:2], len(offsets)), dtype=precision_of(grad))
    for rows in same_lengths(grad, lengths):
        part = total[rows]
        left, right = grad[rows].to(part.dtype), values[rows].to(part.dtype)
        for block in _blocks(left):
            for k, offset in enumerate(offsets):
                for target, origin in _pieces(block, offset, left.shape[1]):
                    torch.sum(left[:, target] * right[:, origin], -1, out=part[:, target, k])
    return total


def _start(x: Tensor, residual: bool, lengths: Tensor | None) -> Tensor:
    """Return the rows that a sum starts from: a copy of `x` without its padding, or zeros."""
    if residual and lengths is None:
        return x.to(precision_of(x), copy=True)
    total = torch.zeros_like(x, dtype=precision_of(x))
    if residual:
        for rows in same_lengths(x, lengths):
            total[rows] = x[rows].to(total.dtype)
    return total


def same_lengths(x: Tensor, lengths: Tensor | None) -> Iterator[tuple[slice, slice]]:
    """Yield what to cut out of a batch: runs of samples of one length, without their padding."""
    batch, size = x.shape[:2]
    first = 0
    for length, run in groupby([size] * batch if lengths is None else lengths.tolist()):
        last = first + len(list(run))
        if length > 0:
            yield slice(first, last), slice(0, length)
        first = last


def _blocks(x: Tensor) -> Iterator[slice]:
    """Yield blocks of positions that fit the cache."""
    samples, length, dim = x.shape
    if x.is_cuda:  # every operation is a launch there
        yield slice(0, length)
        return
    rows = max(1, _BLOCK // max(1, samples * dim))
    for start in range(0, length, rows):
        yield slice(start, min(length, start + rows))


def _pieces(block: slice, offset: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Yield (target, origin): the rows of a block, and those `offset` further, modulo the length."""
    origin = (block.start + offset) % length
    fits = min(block.stop - block.start, length - origin)
    wrap = block.start + fits
    yield slice(block.start, wrap), slice(origin, origin + fits)
    if wrap < block.stop:
        yield slice(wrap, block.stop), slice(0, block.stop - wrap)


def real_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """Return which rows of (batch, n, width) are no padding, (batch, n)."""
    return torch.arange(x.shape[1], device=x.device) < lengths.to(x.device).unsqueeze(1)


def precision_of(x: Tensor) -> torch.dtype:
    """Return the type that sums run in: float32, or float64 if `x` is."""
    return torch.promote_types(x.dtype, torch.float32)
