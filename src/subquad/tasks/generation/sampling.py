"""Images of a generator: each has its own random numbers, so that no batch changes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from subquad.base.seeds import chained_generator
from subquad.engine.progress import note
from subquad.nn.mode import evaluating


def latents(seed: int, indices: Sequence[int], length: int, truncation: float | None = None) -> Tensor:
    """Draw latent vectors, each from (seed, index) alone.

    Args:
        seed: Of all of them.
        indices: One an image, 0 or more.
        length: Of a vector.
        truncation: None, or the bound of the normal distribution: less variety, often better images.

    Returns:
        Float32 (len(indices), length), on the CPU.

    Raises:
        ValueError: If the truncation is not positive.
    """
    if truncation is not None and not truncation > 0:
        raise ValueError(f"truncation must be positive, such as 2 or 0.7; got {truncation}.")
    drawn = [_truncated(chained_generator(seed, index, 0), length, truncation) for index in indices]
    return torch.stack(drawn) if drawn else torch.zeros(0, length)


def uniform_labels(seed: int, indices: Sequence[int], num_classes: int) -> Tensor:
    """Draw classes, each from (seed, index) alone; int64 (len(indices),)."""
    drawn = [torch.randint(num_classes, (), generator=chained_generator(seed, index, 1)) for index in indices]
    return torch.stack(drawn) if drawn else torch.zeros(0, dtype=torch.int64)


def generate(
    generator: Any, latent: Tensor, labels: Tensor, *, batch_size: int = 64
) -> Iterator[tuple[int, Tensor]]:
    """Make images in evaluation mode, batch by batch; the mode is set back afterwards.

    Args:
        generator: Of a HamGAN.
        latent: (images, config.latent).
        labels: (images,).
        batch_size: Of each pass, which changes the images by rounding errors only.

    Yields:
        The number of the first image, and the images in -1..1, float32.
    """
    device = next(generator.parameters()).device
    with evaluating(generator):
        for first in range(0, len(latent), batch_size):
            note(f"image {first + 1:,} of {len(latent):,}")
            chosen = slice(first, first + batch_size)
            with torch.no_grad():
                images = generator(latent[chosen].to(device), labels[chosen].to(device))
            yield first, images.float()


def between(first: Tensor, second: Tensor, steps: int) -> Tensor:
    """Go from one latent vector to another on the great circle, on which normal vectors stay normal.

    Args:
        first: (length,).
        second: (length,).
        steps: 2 or more; the ends are the vectors themselves.

    Returns:
        (steps, length).

    Raises:
        ValueError: If there are fewer than two steps.
    """
    if steps < 2:
        raise ValueError(f"an interpolation has 2 steps at least, got {steps}.")
    share = torch.linspace(0, 1, steps, dtype=torch.float64)[:, None]
    a, b = first.double(), second.double()
    angle = torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))
    if float(angle.sin().abs()) < 1e-6:  # on one line: there is no one circle
        return (a + share * (b - a)).float()
    path = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
    path[0], path[-1] = a, b
    return path.float()


def _truncated(generator: torch.Generator, length: int, truncation: float | None) -> Tensor:
    if truncation is None:
        return torch.randn(length, generator=generator, dtype=torch.float32)
    # The inverse of the distribution function: one draw a value, however narrow the bounds are.
    edge = math.erf(truncation / math.sqrt(2))
    uniform = torch.rand(length, generator=generator, dtype=torch.float64) * 2 - 1
    return (math.sqrt(2) * torch.erfinv(uniform * edge)).float()
