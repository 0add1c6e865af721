"""How much memory a computation takes on its way."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch


def peak_memory(way: Callable[[], object], device: torch.device) -> int:
    """Run once, and return the most bytes that it held at a time, beside what was there before.

    Counted is what PyTorch allocates, inside of its operations too; weights and inputs are there before.

    Args:
        way: What to run; run it once before, or what it keeps counts, too.
        device: Where it runs.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        way()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    # The profiler says on stderr that it starts, and that there is no GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "9")
    profiled: Any
    with torch.autograd.profiler.profile(profile_memory=True) as profiled:
        way()
    events = [event for event in profiled.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()  # negative where memory is given back
        most = max(most, now)
    return most
