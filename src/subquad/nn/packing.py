"""Documents that are packed into rows one after another, each mixed as if it were alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def each_alone(mix: Callable[[Tensor, Tensor], Tensor], x: Tensor, segment_ids: Tensor) -> Tensor:
    """Mix each document as if it were alone, several of about the same length at a time.

    Args:
        mix: Maps (documents, n, ...), zero after the end of each, and their lengths, (documents,) on the CPU,
            to a tensor of the same first axes.
        x: (batch, n, ...).
        segment_ids: (batch, n) integers; where the number changes from one position to the next, a document
            starts, and so it does with each row.

    Returns:
        (batch, n, ...).

    Raises:
        ValueError: If there is not one integer a position.
    """
    if segment_ids.shape != x.shape[:2] or segment_ids.is_floating_point():
        raise ValueError(
            f"segment_ids must be integers {tuple(x.shape[:2])}, one a position, got {segment_ids.dtype} "
            f"{tuple(segment_ids.shape)}."
        )
    starts = segment_starts(segment_ids).flatten()
    document = starts.cumsum(0) - 1  # of each position
    lengths = document.bincount()
    within = torch.arange(len(document), device=x.device) - starts.nonzero().squeeze(1)[document]
    flat, mixed, order = x.flatten(0, 1), [], []
    # Rows of one length for all would be as long as the longest: for one long and many short documents
    # nearly all of them padding. Up to twice the length, at most half of them is.
    kind = torch.frexp(lengths.double()).exponent
    for some in kind.unique():
        chosen = (kind == some).nonzero().squeeze(1)
        place = (kind[document] == some).nonzero().squeeze(1)
        row = torch.searchsorted(chosen, document[place])
        own = lengths[chosen]
        rows = x.new_zeros(len(chosen), int(own.max()), *x.shape[2:])
        rows = rows.index_put((row, within[place]), flat[place])
        mixed.append(mix(rows, own.cpu())[row, within[place]])
        order.append(place)
    return torch.cat(mixed)[torch.cat(order).argsort()].unflatten(0, segment_ids.shape)


def segment_starts(segment_ids: Tensor) -> Tensor:
    """Return where a document starts, (batch, n): with each row, and where the number changes."""
    starts = torch.ones_like(segment_ids, dtype=torch.bool)
    starts[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return starts
