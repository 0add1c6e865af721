"""What the ham of a network made of one picture: a dictionary, and codes on a grid over the picture."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from subquad.explain.context_map import column_map, column_shares, context_map
from subquad.ops import Factors

Size = tuple[int, int]


@dataclass(frozen=True)
class Codes:
    """Dictionary and codes of a picture.

    Attributes:
        factors: Of the picture, on the CPU; the positions row by row.
        grid: Rows and columns of positions.
        size: Height and width of the picture.
        covered: How many rows and columns of positions the picture covers: the last ones may lie on it in
            part, where the network pads it.
        features: X, which was decomposed, (heads, dim, positions); None where it is not kept.
    """

    factors: Factors
    grid: Size
    size: Size
    covered: tuple[float, float]
    features: Tensor | None = None

    def position(self, x: int, y: int) -> int:
        """Return the index of the position that a pixel lies in."""
        row, column = (
            int((at + 0.5) * n / side) for at, n, side in zip((y, x), self.covered, self.size, strict=True)
        )
        return row * self.grid[1] + column

    def shares(self, position: int) -> Tensor:
        """Return how much each column adds to a position, (columns,); see `column_shares`."""
        return column_shares(self.factors, position)

    def column(self, column: int) -> Tensor:
        """Return where a column is used, (rows, columns); see `column_map`."""
        return column_map(self.factors, column).unflatten(0, self.grid)

    def context(self, position: int) -> Tensor:
        """Return how like a position all others are, (rows, columns); see `context_map`."""
        return context_map(self.factors, position).unflatten(0, self.grid)
