"""In which precision the long products of a decomposition are taken, and where bfloat16 is worth it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import torch

Precision = Literal["float32", "bfloat16"]

_WORTH = 1.2  # times as fast as float32, or it is not worth the digits


def check_precision(precision: str) -> None:
    """Raise ValueError for what is no precision."""
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}.")


def is_short(precision: str, dtype: torch.dtype) -> bool:
    """Say whether products are taken in bfloat16: not in float64, and not in what is exported."""
    return precision == "bfloat16" and dtype != torch.float64 and not torch.compiler.is_exporting()


def check_bfloat16(device: torch.device) -> None:
    """Raise ValueError if products in bfloat16 are not faster than in float32 on a device."""
    if torch.compiler.is_compiling():  # which cannot measure
        return
    where, why = ("this CPU" if device.type == "cpu" else str(device)), why_not_bfloat16(device.type)
    if why:
        raise ValueError(
            f'precision="bfloat16" would not be faster on {where}: {why}; leave it at precision="float32".'
        )


@cache
def why_not_bfloat16(kind: str) -> str:
    """Return why bfloat16 is not worth it on a kind of device; "" where it is. Found out once.

    Args:
        kind: Such as "cpu" or "cuda".
    """
    if kind == "cuda":
        major, minor = torch.cuda.get_device_capability()
        return "" if major >= 8 else f"it has no such instructions (compute capability {major}.{minor})"
    if kind != "cpu":
        return "it was never measured there"
    if not _has_instructions():
        return "it has no such instructions (AVX-512 BF16 or AMX)"
    ratio = times_as_fast()
    if ratio < _WORTH:  # what else the machine did may have been the reason
        ratio = max(ratio, times_as_fast())
    return "" if ratio >= _WORTH else f"measured just now, it takes {1 / ratio:.2f} times as long"


def _has_instructions() -> bool:
    """Say whether the CPU multiplies numbers in bfloat16; elsewhere each product would be converted."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def times_as_fast() -> float:
    """Measure how many times as fast a product of ordinary size is in bfloat16, on the CPU: 10 ms."""
    codes, x = torch.ones(64, 4096), torch.ones(4096, 256)
    short_codes, short_x = codes.bfloat16(), x.bfloat16()
    with torch.no_grad():
        whole = _fastest(lambda: codes @ x)
        return whole / _fastest(lambda: (short_codes @ short_x).float())


def _fastest(work: Callable[[], object]) -> float:
    """Return the least of several times in seconds: what else the machine does only makes it longer."""
    work()
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)
