"""Sums over links for a batch of short sequences of many lengths: rows looked up in one list.

Shifted views (`subquad.ops.link_rows`) take a few operations for each run of equal lengths, which costs
more than the arithmetic where a run is short. Here the rows of all sequences stand one after another,
without their padding, and a link is one lookup for all of them.
"""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from subquad.ops.link_rows import precision_of, real_rows

# Entries of the values in a run of equal lengths up to which lookups are faster, measured on a CPU.
_SHORT_RUN = 2**15


def runs_are_short(values: Tensor, lengths: Tensor) -> bool:
    """Say whether a run of samples of one length has so few entries that looking rows up is faster."""
    real = lengths.tolist()
    runs = sum(1 for _ in groupby(real))
    return runs > 1 and sum(real) * values.shape[-1] < runs * _SHORT_RUN


def mix_packed(
    values: Tensor, links: Tensor, offsets: tuple[int, ...], residual: bool, lengths: Tensor
) -> Tensor:
    """Return the mixed values: a row takes rows further on, weighted by its own links."""
    packing = _Packing(values, lengths)
    source, weights = packing.pack(values), packing.pack(links)
    total = source.clone() if residual else torch.zeros_like(source)
    for k, offset in enumerate(offsets):
        total.addcmul_(weights[:, k, None], source.index_select(0, packing.rows_at(offset)))
    return packing.unpack(total)


def mix_packed_back(
    grad: Tensor, links: Tensor, offsets: tuple[int, ...], residual: bool, lengths: Tensor
) -> Tensor:
    """Return the gradient of the values: a row takes from the rows that took it, by their links."""
    packing = _Packing(grad, lengths)
    source, weights = packing.pack(grad), packing.pack(links)
    total = source.clone() if residual else torch.zeros_like(source)
    for k, offset in enumerate(offsets):
        rows = packing.rows_at(-offset)
        total.addcmul_(weights[rows, k, None], source.index_select(0, rows))
    return packing.unpack(total)


def compare_packed(grad: Tensor, values: Tensor, offsets: tuple[int, ...], lengths: Tensor) -> Tensor:
    """Return the gradient of the links: products of a row's gradient with the rows it took."""
    packing = _Packing(grad, lengths)
    left, right = packing.pack(grad), packing.pack(values)
    products = [(left * right.index_select(0, packing.rows_at(offset))).sum(-1) for offset in offsets]
    return packing.unpack(torch.stack(products, dim=-1))


class _Packing:
    """The real rows of a batch as one list, sample after sample."""

    def __init__(self, x: Tensor, lengths: Tensor) -> None:
        lengths = lengths.to(x.device, torch.int64)
        self.real = real_rows(x, lengths)
        # Of each row: the length of its sample, the row where that begins, and the position in it.
        self.length = lengths.repeat_interleave(lengths)
        self.first = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
        self.position = torch.arange(len(self.length), device=x.device) - self.first

    def pack(self, x: Tensor) -> Tensor:
        """Return the real rows of (batch, n, width), in the type that sums run in."""
        return x[self.real].to(precision_of(x))

    def unpack(self, rows: Tensor) -> Tensor:
        """Return (batch, n, width) with these rows, and zeros where there is padding."""
        x = rows.new_zeros((*self.real.shape, rows.shape[-1]))
        x[self.real] = rows
        return x

    def rows_at(self, offset: int) -> Tensor:
        """Return for each row the one `offset` further, wrapped at the length of its sample."""
        return self.first + (self.position + offset) % self.length
