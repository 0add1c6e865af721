"""Masks that are turned as EXIF turns their pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def as_upright(mask: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn a mask that lies as its picture is stored.

    Args:
        mask: (H, W).
        orientation: Of the picture's EXIF data, 1 to 8.
    """
    turned = {
        2: lambda: mask[:, ::-1],
        3: lambda: mask[::-1, ::-1],
        4: lambda: mask[::-1],
        5: lambda: mask.T,
        6: lambda: mask.T[:, ::-1],
        7: lambda: mask.T[::-1, ::-1],
        8: lambda: mask.T[::-1],
    }.get(orientation, lambda: mask)
    return np.ascontiguousarray(turned())
