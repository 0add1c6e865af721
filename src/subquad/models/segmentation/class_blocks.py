"""Some classes at a time, resized to the same bits as all of them at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from subquad.models.segmentation.coarse import CoarseLogits

VECTOR_BYTES = 64  # of the widest vector unit, AVX-512


def class_blocks(coarse: CoarseLogits) -> list[tuple[int, int]]:
    """Cut the classes where PyTorch's own resizing may be cut without another rounding.

    It runs over channels in vectors and does what is left over one by one, in another order of rounding, so
    that a block has to begin where a vector does; and of up to three channels it takes another way
    altogether. With these, `coarse.of_classes(start, stop).resized()` is `coarse.resized()[:, start:stop]`.

    Returns:
        The first class of each block, and that after its last.
    """
    logits = coarse.logits
    classes, step = logits.shape[1], VECTOR_BYTES // logits.element_size()
    if coarse.memory_format is None:
        return [(0, classes)]
    starts = list(range(0, max(classes - 3, 1), step))
    return list(zip(starts, [*starts[1:], classes], strict=True))


def index_type(num_classes: int) -> torch.dtype:
    """Return the smallest type for class indices and one that is ignored: uint8, else int64."""
    return torch.uint8 if num_classes <= 255 else torch.int64


def most_likely(scores: Tensor, dim: int) -> Tensor:
    """Return the index of the largest score along a dimension, the first of several, as `argmax` does.

    On a CPU, `max` is four to nine times as fast along any dimension but the last.
    """
    return scores.max(dim=dim).indices


def classes_of(scores: Tensor) -> Tensor:
    """Return the class of the largest of scores (batch, classes, ...), in `index_type`."""
    return most_likely(scores, dim=1).to(index_type(scores.shape[1]))


def running_maximum(scores: Iterator[tuple[int, Tensor]]) -> Tensor:
    """Return the class of the largest score, as `argmax` of all at once would.

    Args:
        scores: Of some classes at a time, in order: the index of the first, and (batch, classes, H, W).

    Returns:
        int64 (batch, H, W).
    """
    best: Tensor | None = None
    at = torch.empty(0, device="cpu")
    for first, block in scores:
        top, found = block.max(dim=1)
        del block  # makes room for the next
        if best is None:
            best, at = top, found + first
            continue
        better = (top > best) | (top.isnan() & ~best.isnan())  # strict: of equal ones the first
        best = torch.where(better, top, best)
        at = torch.where(better, found + first, at)
    return at
