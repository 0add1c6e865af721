"""What the ham of a network made of one picture: a dictionary, and codes on a grid over the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from subquad.engine.preprocess import preprocess
from subquad.explain.code_maps import ham_factors, last_ham
from subquad.explain.context_map import column_map, column_shares, context_map
from subquad.models import SegmentationNetwork
from subquad.nn import watching_input
from subquad.nn.mode import evaluating
from subquad.ops import Factors
from subquad.tasks.segmentation.protocol import as_shown, protocol_for
from subquad.tasks.segmentation.tiles import sharing_whole_dictionaries
from subquad.tasks.segmentation.tiling import Span, Tiling, spans
from subquad.tasks.segmentation.whole_dictionary import own_positions, stride_of

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
    """

    factors: Factors
    grid: Size
    size: Size
    covered: tuple[float, float]

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


@torch.inference_mode()
def codes_of(network: SegmentationNetwork, picture: Tensor, tiling: Tiling | None) -> Codes:
    """Return what the last ham of a network made of a picture.

    Args:
        network: With a ham over space.
        picture: uint8 (channels, H, W).
        tiling: How it is cut; all tiles then share the dictionary of the whole picture. None: not at all.
    """
    size = (int(picture.shape[1]), int(picture.shape[2]))
    if tiling is None:
        x = as_shown(network, picture.unsqueeze(0), protocol_for(network.config))
        (factors, grid), shown = ham_factors(network, x), (int(x.shape[2]), int(x.shape[3]))
    else:
        (factors, grid), shown = _tiled(network, picture, size, tiling), size
    rows, columns = grid
    covered = _covered((rows, columns), shown) if network.aligned_sizes > 1 else (rows, columns)
    return Codes(Factors(factors.dictionary.cpu(), factors.codes.cpu()), (rows, columns), size, covered)


def _covered(grid: Size, shown: Size) -> tuple[float, float]:
    """Return how much of a grid of padded features a picture covers; strides are powers of two."""
    rows, columns = (
        side / 2 ** math.ceil(math.log2(side / count)) for side, count in zip(shown, grid, strict=True)
    )
    return rows, columns


def _tiled(network: SegmentationNetwork, picture: Tensor, size: Size, tiling: Tiling) -> tuple[Factors, Size]:
    device, ham = next(network.parameters()).device, last_ham(network)
    rows, columns = (spans(side, tiling) for side in size)
    tiles = [(row, column) for row in rows for column in columns]

    def show(row: Span, column: Span) -> Tensor:
        part = picture[None, :, row.start : row.stop, column.start : column.stop]
        return network(preprocess(part.to(device), network.config))

    dictionary, parts = torch.empty(0), [[] for _ in rows]
    with evaluating(network), sharing_whole_dictionaries(network, tiles, show, size):
        for index, (row, column) in enumerate(tiles):
            seen: list[Tensor] = []
            with watching_input(ham, seen.append):
                show(row, column)
            dictionary, codes = ham.factorize(seen[0])
            maps = codes.unflatten(2, seen[0].shape[2:])  # (heads, rank, h, w)
            parts[index // len(columns)].append(_own(maps, row, column, network.aligned_sizes).cpu())
    codes = torch.cat([torch.cat(row, dim=3) for row in parts], dim=2)
    return Factors(dictionary, codes.flatten(2)), (codes.shape[2], codes.shape[3])


def _own(maps: Tensor, row: Span, column: Span, aligned: int) -> Tensor:
    """Return what is of a tile's own pixels, of maps (heads, rank, h, w)."""
    for axis, span in ((2, row), (3, column)):
        side = maps.shape[axis]
        own = own_positions(span, side, aligned)
        maps = maps.narrow(axis, own.start - span.start // stride_of(span, side, aligned), len(own))
    return maps
