"""How much memory a computation takes on its way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch


class Memory(NamedTuple):
    """Bytes that a computation held, beside what was there before.

    Attributes:
        peak: The most at a time.
        kept: What it returned.
        scratch: The most at a time of what it did not return.
    """

    peak: int
    kept: int
    scratch: int


def mib(count: float) -> str:
    """Return a number of bytes as MiB, with a decimal below one."""
    size = count / 2**20
    return f"{size:.1f}" if size < 1 else f"{size:,.0f}"


def peak_memory(way: Callable[[], object], device: torch.device) -> int:
    """Run once, and return the most bytes that it held at a time; see `memory_of`."""
    return memory_of(way, device).peak


def memory_of(way: Callable[[], object], device: torch.device) -> Memory:
    """Run once, and return how many bytes it held, beside what was there before.

    Counted is what PyTorch allocates, inside of its operations too; weights and inputs are there before. What
    libraries below it take by themselves, such as matrices that a BLAS packs, is not seen.

    Args:
        way: What to run; run it once before, or what it keeps counts, too.
        device: Where it runs; the scratch of a GPU is what lay beyond room for what was returned, which
            may be less.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        result = way()
        torch.cuda.synchronize(device)
        peak, after = torch.cuda.max_memory_allocated(device), torch.cuda.memory_allocated(device)
        del result  # it was held until now
        return Memory(peak - before, after - before, peak - after)
    # The profiler says on stderr that it starts, and that there is no GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "9")
    profiled: Any
    with torch.autograd.profiler.profile(profile_memory=True) as profiled:
        result = way()
    del result
    return _memory_of_changes(_changes(profiled.kineto_results.experimental_event_tree()))


def _changes(events: Iterable[Any]) -> list[tuple[int, int]]:
    """Return address and size of what was allocated, less than zero of what was given back, in order."""
    found, waiting = [], list(events)
    while waiting:
        event = waiting.pop()
        waiting += event.children
        if event.tag.name == "Allocation" and event.extra_fields.device.type == "cpu":
            found.append((event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size))
    return [(address, size) for _, address, size in sorted(found, key=lambda change: change[0])]


def _memory_of_changes(changes: Sequence[tuple[int, int]]) -> Memory:
    held: dict[int, int] = {}  # which allocation an address belongs to
    given_back = set()
    for number, (address, size) in enumerate(changes):
        if size > 0:
            held[address] = number
        else:
            given_back.add(held.pop(address, number))
    now = most = kept = scratch = 0
    for number, (_, size) in enumerate(changes):
        now += size
        kept += size if size > 0 and number not in given_back else 0
        most, scratch = max(most, now), max(scratch, now - kept)
    return Memory(most, kept, scratch)
