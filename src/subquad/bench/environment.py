"""What a number was measured on, and whether the machine did nothing else meanwhile."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from subquad.bench.timing import Timing

MOST_OTHERS = 0.5  # cores that others may have kept busy on a quiet machine
MOST_SPREAD = 0.25  # of a timing, as a share of its median
FEWEST_SECONDS = 20.0  # in less, the system's load says more about what was before
_LOAD_SECONDS = 60.0  # the system forgets all but 1/e of its load in so many


@dataclass(frozen=True)
class Environment:
    """What a number was measured on.

    Attributes:
        device: Name of the processor or the accelerator.
        threads: Threads of PyTorch on the CPU.
        python: Its version.
        torch: Its version.
        subquad: Its version.
        commit: Of a source tree under git, with "+" where the package was changed since; None elsewhere.
        load: Processes that wanted the machine in the last minute, at the start. None where the system
            does not tell.
        load_after: The same at the end, this process among them.
        seconds: That it took.
        quiet: Whether nothing says that others used the machine.
        reason: Why it was not quiet; "" if it was.
    """

    device: str
    threads: int
    python: str
    torch: str
    subquad: str
    commit: str | None
    load: float | None
    load_after: float | None
    seconds: float
    quiet: bool
    reason: str

    @property
    def provenance(self) -> dict[str, Any]:
        """What each line of an experiment's results says of where it comes from."""
        return {name: getattr(self, name) for name in ("commit", "device", "threads", "torch")}


def system_load() -> float | None:
    """Return how many processes wanted the machine in the last minute; None where that is not known."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def own_seconds() -> float:
    """Return the seconds of processors that this process had so far, and its children that have ended."""
    return sum(os.times()[:4])


class Watch:
    """Looks at the machine before and after a measurement.

    Args:
        device: That is measured.
        clock: Seconds.
        load: Processes that want the machine.
        own: Seconds of processors that we had so far.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        clock: Callable[[], float] = time.perf_counter,
        load: Callable[[], float | None] = system_load,
        own: Callable[[], float] = own_seconds,
    ) -> None:
        self.device, self._clock, self._load, self._own = device, clock, load, own
        self._begun, self._before, self._had = clock(), load(), own()

    def environment(self, timings: Mapping[str, Timing] | None = None) -> Environment:
        """Return what is known about this machine, this version, and the time since the watch began.

        Args:
            timings: What was measured, by name; where one spreads much, the machine was not quiet.
        """
        import subquad

        seconds, after = self._clock() - self._begun, self._load()
        is_gpu = self.device.type == "cuda"
        reason = _busy(self._before, after, seconds, self._own() - self._had) or _spread(timings or {})
        return Environment(
            device=torch.cuda.get_device_name(self.device) if is_gpu else _processor(),
            threads=torch.get_num_threads(),
            python=platform.python_version(),
            torch=torch.__version__,
            subquad=subquad.__version__,
            commit=_commit(),
            load=self._before,
            load_after=after,
            seconds=round(seconds, 1),
            quiet=not reason,
            reason=reason,
        )


def environment(device: torch.device) -> Environment:
    """Return what is known about this machine and this version, now."""
    return Watch(device).environment()


def _busy(before: float | None, after: float | None, seconds: float, own: float) -> str:
    """Say how others were busy: by the load meanwhile if that took long enough, else by the one before.

    The system's load is a mean that forgets; what it forgot and what came to it tell the load in between.
    Ours is what we had of the processors: threads that wait, as most do where Python alone is at work, are no
    load, and to count them would hide as many of others.
    """
    if before is None or after is None:
        return ""
    if seconds < FEWEST_SECONDS:
        return f"the load was {before} before the measurement began" if before > MOST_OTHERS else ""
    kept = math.exp(-seconds / _LOAD_SECONDS)
    others = (after - before * kept) / (1 - kept) - own / seconds
    return f"others kept {others:.1f} cores busy meanwhile" if others > MOST_OTHERS else ""


def _spread(timings: Mapping[str, Timing]) -> str:
    if not timings:
        return ""
    name, timing = max(timings.items(), key=lambda item: item[1].spread)
    if timing.spread <= MOST_SPREAD:
        return ""
    return f"{name} took {timing.p20:.4g} to {timing.p80:.4g} ms, {timing.spread:.0%} of its median"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit(module: Path = Path(__file__)) -> str | None:
    """Return the commit that a module of the package is of; None if git does not keep it.

    An installed package may lie in a folder that somebody else's repository ignores.
    """
    package = module.parents[1]
    git = ["git", "-C", str(package)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", str(module)], capture_output=True, check=True)
        commit = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", str(package)], capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + "+" * (changed.returncode != 0)
