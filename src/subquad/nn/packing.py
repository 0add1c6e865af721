"""Documents that are packed into rows one after another, each in a row of its own for a while."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Documents(NamedTuple):
    """Documents, each in a row of its own.

    Attributes:
        x: (documents, longest, ...), zero after the end of each.
        lengths: (documents,), on the CPU.
        row: Of each packed position, (batch, n): which document.
        position: Of each packed position, (batch, n): where in it.
    """

    x: Tensor
    lengths: Tensor
    row: Tensor
    position: Tensor


def unpacked(x: Tensor, segment_ids: Tensor) -> Documents:
    """Give each document a row of its own.

    Args:
        x: (batch, n, ...).
        segment_ids: (batch, n) integers; where the number changes from one position to the next, a document
            starts, and so it does with each row.

    Raises:
        ValueError: If there is not one integer a position.
    """
    if segment_ids.shape != x.shape[:2] or segment_ids.is_floating_point():
        raise ValueError(
            f"segment_ids must be integers {tuple(x.shape[:2])}, one a position, got {segment_ids.dtype} "
            f"{tuple(segment_ids.shape)}."
        )
    starts = segment_starts(segment_ids)
    row = starts.flatten().cumsum(0) - 1
    lengths = row.bincount()
    first = starts.flatten().nonzero().squeeze(1)
    position = torch.arange(len(row), device=x.device) - first[row]
    longest = int(lengths.max())
    padded = x.new_zeros(len(lengths), longest, *x.shape[2:]).index_put((row, position), x.flatten(0, 1))
    shape = segment_ids.shape
    return Documents(padded, lengths.cpu(), row.view(shape), position.view(shape))


def segment_starts(segment_ids: Tensor) -> Tensor:
    """Return where a document starts, (batch, n): with each row, and where the number changes."""
    starts = torch.ones_like(segment_ids, dtype=torch.bool)
    starts[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return starts


def together(y: Tensor, documents: Documents) -> Tensor:
    """Return what was computed of the documents, packed as they were: (batch, n, ...)."""
    return y[documents.row, documents.position]
