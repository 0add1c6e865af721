"""What a decomposition is given, looked at before anything is computed."""

from __future__ import annotations

import torch
from torch import Tensor


def checked_dictionary(x: Tensor, dictionary: Tensor) -> Tensor:
    """Return the start dictionary as (batch, dim, rank)."""
    if x.dim() != 3:
        raise ValueError(
            f"x must be (batch, dim, positions), got {tuple(x.shape)}; flatten its positions first."
        )
    if dictionary.dim() == 2:
        dictionary = dictionary.unsqueeze(0)
    fits = dictionary.dim() == 3 and dictionary.shape[0] in (1, x.shape[0])
    if not fits or dictionary.shape[1] != x.shape[1]:
        raise ValueError(
            f"the dictionary must be (batch, dim, rank) with the batch and dim of x "
            f"{tuple(x.shape)}, got {tuple(dictionary.shape)}."
        )
    return dictionary.expand(x.shape[0], -1, -1)


def check_data(x: Tensor, steps: int, mask: Tensor | None) -> None:
    """Raise ValueError if the type of `x`, the number of steps or the mask does not fit."""
    if not x.is_floating_point():
        raise ValueError(f"x must be of a floating point type, got {x.dtype}; use x.float().")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}.")
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean (True where a position counts), got {mask.dtype}.")
    if mask.shape != (x.shape[0], x.shape[2]):
        raise ValueError(
            f"mask must be (batch, positions) = {(x.shape[0], x.shape[2])}, got {tuple(mask.shape)}."
        )
