"""Masks that NumPy wrote: one array of class indices, or of colours, a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subquad.base.files import require_file
from subquad.data.decoding import TooManyPixelsError
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX

ARRAY = ".npy"
_REMEDY = "save whole numbers (height, width), or colours as uint8 (height, width, 3)"


def read_array_mask(path: Path, max_pixels: int) -> NDArray[Any]:
    """Read an array; nothing is allocated before its header proved modest, and no pickle is read.

    Args:
        path: Of the file.
        max_pixels: Refuse more.

    Returns:
        Indices (H, W) of any integer type, in which -1 has become 255, or colours, uint8 (H, W, 3).

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is none of these, or too large.
    """
    require_file(path)
    try:
        stored = np.lib.format.open_memmap(path, mode="r")
        shape, kind = tuple(stored.shape), stored.dtype
    except Exception as error:  # NumPy parses the header as Python, with what that raises
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"mask {path} cannot be decoded ({reason}); copy it again.") from error
    if len(shape) == 3 and shape[2] == 1:
        stored = stored[..., 0]
    is_color = len(shape) == 3 and shape[2] == 3 and kind == np.uint8
    if not (is_color or stored.ndim == 2) or kind.kind not in "iub" or 0 in shape:
        raise ValueError(f"mask {path} is an array of {kind} {shape}, which is no mask; {_REMEDY}.")
    pixels = shape[0] * shape[1]
    if pixels > max_pixels:
        raise TooManyPixelsError(
            f"mask {path} is {shape[0]} x {shape[1]} (height x width), {pixels:,} pixels and more than the "
            f"{max_pixels:,} that are read",
            pixels,
        )
    values = np.array(stored)
    if kind.kind == "b":
        return values.astype(np.uint8)
    if kind.kind == "i":
        values = values.astype(np.int64)
        values[values == -1] = IGNORE_INDEX  # as tools write it that have no 255
    return values
