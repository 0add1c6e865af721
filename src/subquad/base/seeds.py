"""Seeds that depend on several numbers: neighbouring ones give unrelated random numbers."""

from __future__ import annotations

import torch

_RANGE = 2**62


def mix_seed(*parts: int) -> int:
    """Return a seed that depends on all parts, in 0 .. 2^63 - 1."""
    state = 0x9E3779B97F4A7C15
    for part in parts:  # splitmix64: neighbouring parts give unrelated seeds
        state = (state + part + 0x9E3779B97F4A7C15) % 2**64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
        state ^= state >> 31
    return state >> 1


def chained_generator(seed: int, *parts: int) -> torch.Generator:
    """Return random numbers that depend on a seed and all parts; other parts give others.

    Training steps and generated images are seeded so since before `mix_seed`, and their numbers stay.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in parts:
        generator.manual_seed((_draw(generator) + part) % _RANGE)
    return generator


def step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Return the seed of one training step on one process."""
    return _draw(chained_generator(seed, epoch, batch, rank))


def _draw(generator: torch.Generator) -> int:
    return int(torch.randint(_RANGE, (1,), generator=generator))
