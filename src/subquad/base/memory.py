"""How much main memory a program may still take."""

from __future__ import annotations

import os
from pathlib import Path


def free_memory() -> int:
    """Return the bytes of main memory that a program may still take, where the system tells; else 4 GiB.

    Among processes that train together it is a share of all there is, which does not change meanwhile.
    """
    told = _numbers(Path("/proc/meminfo"), ":")
    free = told.get("MemAvailable", 4 * 2**20) * 1024
    if (together := processes_together()) > 1:
        return told.get("MemTotal", 8 * 2**20) * 1024 // 2 // together
    return min([free, *_left_by_container(Path("/sys/fs/cgroup"))])


def processes_together() -> int:
    """Return how many processes were started to train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _left_by_container(root: Path) -> list[int]:
    """Return what a container leaves, if it says so: its limit but for what is used and not only cached."""
    for folder, most, now, cached in (
        (root, "memory.max", "memory.current", "inactive_file"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit, used = (int((folder / name).read_text()) for name in (most, now))
        except (OSError, ValueError):  # no container of that kind, or "max"
            continue
        return [max(0, limit - used + _numbers(folder / "memory.stat", " ").get(cached, 0))]
    return []


def _numbers(path: Path, between: str) -> dict[str, int]:
    """Return the names and numbers in the lines of a file of the system; {} if it is not there."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    parts = (line.partition(between) for line in lines)
    return {name: int(n.split()[0]) for name, _, n in parts if n.split() and n.split()[0].isdecimal()}
