"""Which implementation of an operation runs: the only place that decides."""

from __future__ import annotations

import importlib.util
import os
from typing import Literal, get_args

from torch import Tensor

Impl = Literal["auto", "reference", "triton"]

# Asked once: the compiler of torch 2.10 cannot trace the question.
_HAS_TRITON = importlib.util.find_spec("triton") is not None


def use_triton(impl: Impl, x: Tensor) -> bool:
    """Say whether a Triton kernel is to run.

    "auto" does not take it yet: no kernel of ours has been timed on a GPU.

    Args:
        impl: What a caller asks for.
        x: Where the work is.

    Raises:
        ValueError: If `impl` is unknown, or Triton is asked for and cannot run.
    """
    if impl not in get_args(Impl):
        raise ValueError(f'impl must be "auto", "reference" or "triton", got {impl!r}.')
    if impl != "triton":
        return False
    if not _HAS_TRITON:
        raise ValueError(
            'impl="triton" cannot run: Triton is not installed; pip install triton, or use "auto".'
        )
    if not x.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            f'impl="triton" cannot run: the tensors are on {x.device.type}; move them to a GPU, use "auto", '
            f"or set TRITON_INTERPRET=1 before Python starts (a slow simulation on the CPU)."
        )
    return True
