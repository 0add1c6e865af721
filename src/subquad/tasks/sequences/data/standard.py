"""Mean and deviation of the values of training, so that a network sees numbers around one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mean_and_deviation(values: Sequence[Tensor]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each feature, over all positions of all sequences.

    Two passes in float64: squares of large values would not fit float32, and a large mean would hide a
    small deviation.

    Args:
        values: Each (length, features); at least one position in all.

    Returns:
        Both, one number a feature. A feature that never changes has the deviation 1, or its own size if
        that is larger: there is nothing to divide by, but other values of it may be asked about.
    """
    count = sum(len(sequence) for sequence in values)
    mean = torch.stack([sequence.double().sum(dim=0) for sequence in values]).sum(dim=0) / count
    squares = torch.stack([(sequence.double() - mean).square().sum(dim=0) for sequence in values]).sum(dim=0)
    deviation = (squares / count).sqrt()
    # Rounding leaves a trace of a deviation where there is none; float32 could not hold it beside the mean.
    constant = deviation <= mean.abs() * torch.finfo(torch.float32).eps
    return tuple(mean.tolist()), tuple(deviation.where(~constant, mean.abs().clamp_min(1.0)).tolist())
