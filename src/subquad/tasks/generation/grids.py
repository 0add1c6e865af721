"""Pictures of generated images, a row for each class: their options, and what they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subquad.tasks.generation.sampling import generate, latents


@dataclass(frozen=True)
class GridOptions:
    """Pictures of generated images while training: a row for each class.

    Attributes:
        every: Steps between two of them.
        rows: The most classes that are shown, the first ones.
        columns: Images of each class.

    Raises:
        ValueError: If a number is not positive, or there is one column: images could not be compared.
    """

    every: int = 500
    rows: int = 10
    columns: int = 8

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for name, least in {"every": 1, "rows": 1, "columns": 2}.items():
            if getattr(self, name) < least:
                raise ValueError(f"grids.{name} must be at least {least}, got {getattr(self, name)}.")


def class_samples(generator: Any, options: GridOptions, seed: int) -> Tensor:
    """Return images (rows, columns, channels, side, side) on the CPU, a row for each class.

    All rows are of the same latent vectors.
    """
    rows = min(options.rows, generator.config.num_classes)
    noise = latents(seed, range(options.columns), generator.config.latent).repeat(rows, 1)
    labels = torch.arange(rows).repeat_interleave(options.columns)
    images = torch.cat([part.cpu() for _, part in generate(generator, noise, labels)])
    return images.unflatten(0, (rows, options.columns))
