"""Memory that a process keeps when it frees it, instead of handing it back and asking for it anew."""

from __future__ import annotations

import ctypes
import os
import platform

# Numbers of mallopt, of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_NEVER, _LARGEST, _LARGEST_BEFORE = -1, 2**30, 2**25  # glibc before 2.35 takes no threshold above the last
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_ARENA_MAX")


def keep_freed_memory() -> bool:
    """Let this process keep what it frees for what it allocates next.

    glibc hands blocks of some megabytes back to the system at once. The next feature map of that size
    then comes as empty pages, each of which the system has to find and to clear when it is first
    written: half the time of a small network on a CPU. What is kept is at most what was in use at once,
    and it goes back when the process ends. Nothing else in the process is asked, so it is for
    commands, and for programs that want it; not done when the package is imported.

    Returns:
        Whether it was done: with another C library nothing is, nor where the environment sets the
        allocator, whose settings then count.
    """
    set_outside = any(name in os.environ for name in _SETTINGS)
    set_outside = set_outside or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if set_outside or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # One arena: those of further threads have pieces of 64 MiB, and hand back what does not fit.
    mapped = any(mallopt(_MMAP_THRESHOLD, most) == 1 for most in (_LARGEST, _LARGEST_BEFORE))
    others = [mallopt(name, value) == 1 for name, value in ((_TRIM_THRESHOLD, _NEVER), (_ARENA_MAX, 1))]
    return mapped and all(others)
