"""A picture, what a network says of it, and what its ham made of it: the numbers behind page and figure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subquad.base.table import Table
from subquad.explain.codes import Codes
from subquad.explain.context_map import column_strengths
from subquad.explain.images import Pixels
from subquad.explain.spectrum import (
    effective_rank,
    lengths_at,
    principal_colors,
    relative_residual,
    residual_of,
    singular_values,
    singular_values_of_product,
)

Map = NDArray[np.floating]


@dataclass(frozen=True)
class Said:
    """What the network says of the picture.

    Attributes:
        table: Of its classes; the first cells may have the colours below.
        colors: One a row of the table, (red, green, blue); None for none.
        picture: The picture with its classes laid over it, RGB (H, W, 3); None if it has one class.
        content: The same for `--json`.
    """

    table: Table
    colors: tuple[tuple[int, int, int], ...] | None
    picture: Pixels | None
    content: dict[str, Any]


@dataclass(frozen=True)
class HamView:
    """A picture, what the network says of it, and what its ham made of it.

    Attributes:
        name: Of the picture.
        network: Its name.
        pixels: What the network was shown, RGB (H, W, 3).
        said: Of the picture.
        codes: With their features.
        at: x and y of a pixel of `pixels`; None for none.
        given: The same in pixels of the file, where that is another picture.
    """

    name: str
    network: str
    pixels: Pixels
    said: Said
    codes: Codes
    at: tuple[int, int] | None = None
    given: tuple[int, int] | None = None

    @cached_property
    def features(self) -> Tensor:
        """X, (heads, dim, positions)."""
        assert self.codes.features is not None
        return self.codes.features

    @cached_property
    def residual(self) -> float:
        """|X - D C| / |X|."""
        return relative_residual(self.features, self.codes.factors)

    @cached_property
    def spectra(self) -> tuple[Tensor, Tensor]:
        """Singular values of X and of D C."""
        return singular_values(self.features), singular_values_of_product(self.codes.factors)

    @cached_property
    def ranks(self) -> tuple[float, float]:
        """Effective ranks of X and of D C."""
        first, second = self.spectra
        return effective_rank(first), effective_rank(second)

    @cached_property
    def strengths(self) -> list[tuple[int, float]]:
        """Columns and their shares of all that is added, the strongest first."""
        return _ranked(column_strengths(self.codes.factors))

    @cached_property
    def colors(self) -> tuple[Pixels, Pixels]:
        """X and D C painted by the directions in which X differs most, (rows, columns, 3)."""
        painted = principal_colors(self.features, self.codes.factors.reconstruct())
        first, second = (
            (255 * each).round().byte().unflatten(0, self.codes.grid).numpy() for each in painted
        )
        return first, second

    @cached_property
    def lengths(self) -> dict[str, Map]:
        """|X|, |D C| and |X - D C| of each position, (rows, columns)."""
        factors = self.codes.factors
        parts = {
            "|X|": self.features,
            "|D C|": factors.reconstruct(),
            "|X - D C|": residual_of(self.features, factors),
        }
        return {name: lengths_at(part).unflatten(0, self.codes.grid).numpy() for name, part in parts.items()}

    def maps(self, most: int) -> list[tuple[int, float, Map]]:
        """Return number, share and map of the strongest columns."""
        return [
            (column, share, self.codes.column(column).numpy())
            for column, share in self.strengths[:most]
            if share
        ]

    @property
    def position(self) -> int | None:
        """Index of the position at `at`."""
        return None if self.at is None else self.codes.position(*self.at)

    @property
    def shares(self) -> list[tuple[int, float]]:
        """Columns and their shares of what is added at `at`, the strongest first."""
        return [] if self.position is None else _ranked(self.codes.shares(self.position))

    @property
    def told_at(self) -> tuple[int, int] | None:
        """X and y as they were given."""
        return self.given or self.at


def _ranked(shares: Tensor) -> list[tuple[int, float]]:
    order = torch.sort(shares, descending=True, stable=True)
    return list(zip(order.indices.tolist(), order.values.tolist(), strict=True))
