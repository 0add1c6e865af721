"""Which mixer to take, from what was measured: a function of the numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from subquad.bench.mixers import ATTENTION
from subquad.bench.timing import Timing

EQUAL = 1.1  # times as long is as fast: no reason to take another
CLEAR = 1.05  # times as long is worth to be said
NEAR = 16  # times as many positions, or as few, is near


@dataclass(frozen=True)
class MixerRow:
    """A mixer, measured or skipped.

    Attributes:
        name: Its name.
        gives: What each position learns of the others.
        is_global: Whether it hears of all of them.
        parameters: Of the block.
        write: What to write to have it.
        time: Of a pass; None if it was skipped.
        ms: The median of that; predicted if it was skipped, from fewer positions.
        fewer: Milliseconds with a fourth of the positions; None if they were not measured.
        memory: The most bytes held at a time beside weights and input; predicted if it was skipped.
        skipped: Why; "" if it was measured.
        takes: The axes of its input, such as "(batch, channels, length)".
    """

    name: str
    gives: str
    is_global: bool
    parameters: int
    write: str
    time: Timing | None
    ms: float
    fewer: float | None
    memory: int
    skipped: str = ""
    takes: str = ""


@dataclass(frozen=True)
class Recommendation:
    """What to take.

    Attributes:
        choice: Name of the mixer.
        sentences: Why, where it would change, what to write, and what nobody measured.
    """

    choice: str
    sentences: tuple[str, ...]


def recommend(rows: Sequence[MixerRow], positions: int, memory: int) -> Recommendation:
    """Choose the fastest mixer that hears of all positions; of equals the first, and attention before all.

    Attention loses nothing on its way and is what everybody knows: something else must be faster.

    Args:
        rows: Of all mixers, the usual choice among equals first.
        positions: That were measured.
        memory: Bytes that may be held.

    Raises:
        ValueError: If none fits into the memory.
    """
    wide = [row for row in rows if row.is_global]
    fitting = [row for row in wide if row.memory <= memory]
    if not fitting:
        least = min(wide, key=lambda row: row.memory)
        raise ValueError(
            f"no mixer fits: {least.name} takes {gib(least.memory)} of the {gib(memory)} there are, and the "
            "others more; give a smaller --batch or shape."
        )
    fastest = min(row.ms for row in fitting)
    chosen = next(row for row in fitting if row.ms <= EQUAL * fastest)
    others = [row for row in fitting if row is not chosen]
    left_out = [row for row in wide if row.memory > memory]
    sentences = [
        _why(chosen, others, left_out, memory),
        *_where_it_turns(chosen, others, positions),
        f"Write {chosen.write}{f', which takes {chosen.takes}' if chosen.takes else ''}.",
        f"Not known from this: which of them is best for your data; {PAGES}",
    ]
    return Recommendation(chosen.name, tuple(sentences))


PAGES = (
    "docs/results.md has tasks with and without each, docs/integrate.md says how to put one into a network."
)


def crossover(one: MixerRow, other: MixerRow, positions: int) -> int | None:
    """Return at about how many positions two mixers take equally long; None if that is not near.

    Each is taken for a power of the positions, through the times at a fourth of them and at all.
    """
    difference = _power(one) - _power(other)
    if not abs(difference) >= 0.1:  # as good as parallel, or not known
        return None
    exponent = math.log(other.ms / one.ms) / difference
    return round(positions * math.exp(exponent)) if abs(exponent) <= math.log(NEAR) else None


def _power(row: MixerRow) -> float:
    """Return the power of the positions that the time of a mixer grows with; NaN if it is not known."""
    return math.log(row.ms / row.fewer, 4) if row.fewer else math.nan


def _why(chosen: MixerRow, others: Sequence[MixerRow], left_out: Sequence[MixerRow], memory: int) -> str:
    """Say what is taken and why, next to attention.

    Args:
        chosen: The one to take.
        others: That could be taken.
        left_out: That do not fit into the memory.
        memory: Bytes that may be held.
    """
    take = f"Take {chosen.name}: {_ms(chosen)}"
    attention = next((row for row in (*others, *left_out) if row.name == ATTENTION), None)
    if attention is None:
        second = min(others, key=lambda row: row.ms, default=None)
        told = "" if second is None else f" ({second.name}: {_ms(second)})"
        fits = " and fits into the memory" if left_out else ""
        return f"{take}, and no other that is global{fits} is clearly faster{told}."
    times = attention.ms / chosen.ms
    faster = f"{times:.1f} times faster than attention" if times >= CLEAR else ""
    if attention in left_out:
        needs = f"takes {gib(attention.memory)} of the {gib(memory)} there are."
        return f"{take}, {faster}, which {needs}" if faster else f"{take}; attention {needs}"
    return f"{take}, {faster} ({_ms(attention)})." if faster else f"{take} (attention: {_ms(attention)})."


def _where_it_turns(chosen: MixerRow, others: Sequence[MixerRow], positions: int) -> list[str]:
    """Say where attention and the fastest of the rest change places, if that is near."""
    rivals = [row for row in others if ATTENTION in (chosen.name, row.name)]
    other = min(rivals, key=lambda row: row.ms, default=None)
    turn = None if other is None else crossover(chosen, other, positions)
    if other is None or turn is None:
        return []
    side = "Above" if _power(other) < _power(chosen) else "Below"
    return [f"{side} about {turn:,} positions {other.name} would be faster; there are {positions:,}."]


def _ms(row: MixerRow) -> str:
    return f"about {row.ms:.3g} ms, predicted" if row.time is None else f"{row.ms:.3g} ms"


def gib(count: int) -> str:
    """Return a number of bytes as text."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.1f} MiB"
