"""Time several ways of doing one thing in turn, so that all meet the same machine."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Timing:
    """Quantiles of repeated runs in milliseconds: 20 %, the median, 80 %."""

    p20: float
    p50: float
    p80: float

    def __str__(self) -> str:
        return f"{self.p50:.4g} ({self.p20:.4g} to {self.p80:.4g})"


@dataclass(frozen=True)
class Environment:
    """What a number was measured on.

    Attributes:
        device: Name of the processor or the accelerator.
        threads: Threads of PyTorch on the CPU.
        torch: Its version.
        subquad: Its version.
        commit: Of a source tree under git; None elsewhere.
        load: Processes that wanted the machine in the last minute, at the start; above the number
            of threads it was not quiet. None where the system does not tell.
    """

    device: str
    threads: int
    torch: str
    subquad: str
    commit: str | None
    load: float | None


def environment(device: torch.device) -> Environment:
    """Return what is known about this machine and this version."""
    import subquad

    is_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if is_gpu else _processor()
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return Environment(name, torch.get_num_threads(), torch.__version__, subquad.__version__, _commit(), load)


def side_by_side(
    ways: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    device: torch.device,
) -> dict[str, Timing]:
    """Time each way `repeats` times, one after the other in every round, after one run to warm up.

    Args:
        ways: What to time, by name.
        repeats: Rounds, at least 1.
        device: What to wait for before the clock stops.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}.")
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(seconds_of(way, device))
    return {name: _quantiles(times) for name, times in seconds.items()}


def seconds_of(way: Callable[[], object], device: torch.device) -> float:
    """Run once and return the seconds it took."""
    _wait(device)
    started = time.perf_counter()
    way()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _quantiles(seconds: list[float]) -> Timing:
    levels = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    p20, p50, p80 = (1e3 * torch.tensor(seconds, dtype=torch.float64)).quantile(levels).tolist()
    return Timing(p20, p50, p80)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
