"""Numbers that are none: NaN and infinity are never a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Say whether every entry of every tensor is finite; whole numbers always are."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that hold NaN or infinity, in order."""
    return [name for name, tensor in tensors.items() if not all_finite([tensor])]
