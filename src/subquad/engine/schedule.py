"""Learning rates as functions of the step, counted from 0."""

from __future__ import annotations

import math


def poly_decay(step: int, steps: int, power: float) -> float:
    """Return (1 - step / steps) ** power, 0 from the last step on."""
    return max(0.0, 1 - step / max(1, steps)) ** power


def cosine_decay(step: int, steps: int) -> float:
    """Return half a wave from 1 at step 0 to 0, which it stays from the last step on."""
    return (1 + math.cos(math.pi * min(1.0, step / max(1, steps)))) / 2


def warm_up(step: int, warmup_steps: int, ratio: float) -> float:
    """Return the share of the learning rate while warming up: from `ratio` linearly to 1.

    Args:
        step: Of the optimiser.
        warmup_steps: Length of the warm-up; 0 for none.
        ratio: Share of the first step.
    """
    return 1.0 if step >= warmup_steps else 1 - (1 - step / warmup_steps) * (1 - ratio)


def held_step(step: int, every: int) -> int:
    """Return the step whose learning rate is in force, where it changes every so many steps only.

    The code that does so (HamNet for VOC) counts iterations from 1 and sets the rate at multiples of
    `every`: its first `every - 1` iterations have the rate of step 0.
    """
    return step if every == 1 else (step + 1) // every * every
