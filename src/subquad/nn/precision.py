"""Half precision: numbers beyond the range of float16."""

from __future__ import annotations

import torch
from torch import Tensor


def in_range(x: Tensor) -> Tensor:
    """Return `x`; in float16 with what overflowed at the largest number instead of infinity.

    Float16 ends at 65,504, which a convolution of data of 10,000 may pass; a norm or a solver would
    make NaN of an infinity. Other types reach as far as float32.
    """
    if x.dtype != torch.float16:
        return x
    largest = torch.finfo(torch.float16).max
    return x.clamp(-largest, largest)
