"""Which implementation of an operation runs: the only place that decides."""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

Impl = Literal["auto", "reference", "triton"]

# Asked once: the compiler of torch 2.10 cannot trace the question.
_HAS_TRITON = importlib.util.find_spec("triton") is not None

# What experiments/speed/gpu.py measured and wrote.
_MEASURED = Path(__file__).parent / "kernels" / "measured.json"


def use_triton(
    impl: Impl, x: Tensor, operation: str, sizes: Sequence[int], obstacle: str | None = None
) -> bool:
    """Say whether a Triton kernel is to run.

    "auto" takes it on a GPU where `kernels/measured.json` says that it was faster there: with this
    operation, this model of GPU, this type, and sizes within a factor of two. While compiling or
    exporting it never does: a compiler fuses the reference, and an exported program runs anywhere.

    Args:
        impl: What a caller asks for.
        x: Where the work is, and of which type.
        operation: Such as "link_mix", as the measurements call it.
        sizes: What its time depends on, in the order of the measurements.
        obstacle: Why the kernel cannot do it, such as "takes a rank of at most 128, got 200".

    Raises:
        ValueError: If `impl` is unknown, or Triton is asked for and cannot run.
    """
    if impl not in get_args(Impl):
        raise ValueError(f'impl must be "auto", "reference" or "triton", got {impl!r}.')
    if impl == "reference":
        return False
    if impl == "auto":
        if torch.compiler.is_compiling() or not x.is_cuda or not _HAS_TRITON or obstacle is not None:
            return False
        return _was_faster(operation, _device_name(x.device), str(x.dtype).removeprefix("torch."), sizes)
    if not _HAS_TRITON:
        raise ValueError(
            'impl="triton" cannot run: Triton is not installed; pip install triton, or use "auto".'
        )
    if not x.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            f'impl="triton" cannot run: the tensors are on {x.device.type}; move them to a GPU, use "auto", '
            f"or set TRITON_INTERPRET=1 before Python starts (a slow simulation on the CPU)."
        )
    if obstacle is not None:
        raise ValueError(f'impl="triton" {obstacle}; use "auto".')
    return True


def _was_faster(operation: str, device: str, dtype: str, sizes: Sequence[int]) -> bool:
    """Say whether the kernel won where the nearest sizes were measured; False if none are near."""
    nearest, won = math.inf, False
    for entry in _measurements():
        same = (entry["operation"], entry["device"], entry["dtype"]) == (operation, device, dtype)
        if not same or len(entry["sizes"]) != len(sizes) or min(sizes) < 1:
            continue
        steps = [abs(math.log2(a / b)) for a, b in zip(entry["sizes"], sizes, strict=True)]
        if max(steps) <= 1 and sum(steps) < nearest:
            nearest, won = sum(steps), entry["triton_ms"] < entry["reference_ms"]
    return won


@functools.cache
def _measurements() -> tuple[dict[str, Any], ...]:
    """Return what was measured; nothing if the file cannot be read, or says anything else than it should."""
    try:
        entries = json.loads(_MEASURED.read_text(encoding="utf-8"))
        return tuple(entry for entry in entries if _is_measurement(entry))
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def _is_measurement(entry: Any) -> bool:
    sizes, times = entry["sizes"], (entry["reference_ms"], entry["triton_ms"])
    return (
        all(isinstance(entry[key], str) for key in ("operation", "device", "dtype"))
        and all(isinstance(size, int) and size > 0 for size in sizes)
        and all(isinstance(time, int | float) and time > 0 for time in times)
    )


@functools.cache
def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device)
