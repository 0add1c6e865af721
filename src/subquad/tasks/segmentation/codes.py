"""What the ham of a network made of one picture: a dictionary, and codes on a grid over the picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subquad.engine.preprocess import preprocess
from subquad.explain.code_maps import ham_parts, last_ham
from subquad.explain.codes import Codes, Size
from subquad.models import SegmentationNetwork
from subquad.nn import watching_input
from subquad.nn.mode import evaluating
from subquad.ops import Factors
from subquad.tasks.segmentation.protocol import as_shown, protocol_for
from subquad.tasks.segmentation.tiles import sharing_whole_dictionaries
from subquad.tasks.segmentation.tiling import Span, Tiling, spans
from subquad.tasks.segmentation.whole_dictionary import own_positions, stride_of


@torch.inference_mode()
def codes_of(
    network: SegmentationNetwork, picture: Tensor, tiling: Tiling | None, *, keeps_features: bool = False
) -> Codes:
    """Return what the last ham of a network made of a picture.

    Args:
        network: With a ham over space.
        picture: uint8 (channels, H, W).
        tiling: How it is cut; all tiles then share the dictionary of the whole picture. None: not at all.
        keeps_features: Whether to return what was decomposed, too.
    """
    size = (int(picture.shape[1]), int(picture.shape[2]))
    if tiling is None:
        x = as_shown(network, picture.unsqueeze(0), protocol_for(network.config))
        (features, factors, grid), shown = ham_parts(network, x), (int(x.shape[2]), int(x.shape[3]))
    else:
        (features, factors, grid), shown = _tiled(network, picture, size, tiling, keeps_features), size
    rows, columns = grid
    covered = _covered((rows, columns), shown) if network.aligned_sizes > 1 else (rows, columns)
    return Codes(
        Factors(factors.dictionary.cpu(), factors.codes.cpu()),
        (rows, columns),
        size,
        covered,
        features.cpu() if keeps_features and features is not None else None,
    )


def _covered(grid: Size, shown: Size) -> tuple[float, float]:
    """Return how much of a grid of padded features a picture covers; strides are powers of two."""
    rows, columns = (
        side / 2 ** math.ceil(math.log2(side / count)) for side, count in zip(shown, grid, strict=True)
    )
    return rows, columns


def _tiled(
    network: SegmentationNetwork, picture: Tensor, size: Size, tiling: Tiling, keeps_features: bool
) -> tuple[Tensor | None, Factors, Size]:
    device, ham = next(network.parameters()).device, last_ham(network)
    rows, columns = (spans(side, tiling) for side in size)
    tiles = [(row, column) for row in rows for column in columns]

    def show(row: Span, column: Span) -> Tensor:
        part = picture[None, :, row.start : row.stop, column.start : column.stop]
        return network(preprocess(part.to(device), network.config))

    dictionary, parts, inputs = torch.empty(0), [[] for _ in rows], [[] for _ in rows]
    with evaluating(network), sharing_whole_dictionaries(network, tiles, show, size):
        for index, (row, column) in enumerate(tiles):
            seen: list[Tensor] = []
            with watching_input(ham, seen.append):
                show(row, column)
            dictionary, codes = ham.factorize(seen[0])
            maps = codes.unflatten(2, seen[0].shape[2:])  # (heads, rank, h, w)
            parts[index // len(columns)].append(_own(maps, row, column, network.aligned_sizes).cpu())
            if keeps_features:
                own = _own(seen[0].unflatten(1, (ham.heads, -1))[0], row, column, network.aligned_sizes)
                inputs[index // len(columns)].append(own.cpu())
    codes = _joined(parts)
    features = _joined(inputs).flatten(2) if keeps_features else None
    return features, Factors(dictionary, codes.flatten(2)), (codes.shape[2], codes.shape[3])


def _joined(parts: list[list[Tensor]]) -> Tensor:
    """Return one map, (heads, n, h, w), of those of all tiles in their rows."""
    return torch.cat([torch.cat(row, dim=3) for row in parts], dim=2)


def _own(maps: Tensor, row: Span, column: Span, aligned: int) -> Tensor:
    """Return what is of a tile's own pixels, of maps (heads, rank, h, w)."""
    for axis, span in ((2, row), (3, column)):
        side = maps.shape[axis]
        own = own_positions(span, side, aligned)
        maps = maps.narrow(axis, own.start - span.start // stride_of(span, side, aligned), len(own))
    return maps
