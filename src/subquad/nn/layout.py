"""How a feature map lies in memory."""

from __future__ import annotations

from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Say whether the channels of each position of (batch, channels, height, width) lie side by side.

    By its strides: what is mapped over by vmap cannot be asked for its memory format.
    """
    return x.dim() == 4 and x.stride(1) == 1 and not x.is_contiguous()
