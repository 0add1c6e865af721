"""Memory that was freed is kept for the next tensor."""

from __future__ import annotations

import ctypes
import os
import sys

# Of glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4
SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_")
LARGEST_KEPT = 1 << 30
STEP = 64 << 20


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, on Linux with glibc.

    A step of training frees what the next one asks for again. glibc gives each large tensor back to the
    system, which hands the next one out as pages that it has to clear first: a quarter to a half of a
    step on a CPU. Kept memory is no more than the most that was in use at a time, and gaps between tensors.
    Tensors of more than a gibibyte are still given back.

    Returns:
        Whether it does from now on; not if glibc's own environment variables, such as
        MALLOC_TRIM_THRESHOLD_, say something of it.
    """
    if sys.platform != "linux" or any(name in os.environ for name in SETTINGS):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:  # another C library
        return False
    # Before glibc 2.35, a threshold may be 32 MiB at most: then all tensors are kept.
    is_kept = set_option(MMAP_THRESHOLD, LARGEST_KEPT) or set_option(MMAP_MAX, 0)
    return bool(is_kept and set_option(TRIM_THRESHOLD, -1) and set_option(TOP_PAD, STEP))
