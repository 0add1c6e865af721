"""One dictionary of a whole image, from the tiles that it is seen in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from subquad.nn import Ham, watching_input
from subquad.tasks.segmentation.tiling import Span

MOST_POSITIONS = 65_536  # 128 MiB of 512 channels


def whole_dictionary(
    ham: Ham,
    tiles: Iterable[tuple[Span, Span]],
    show: Callable[[Span, Span], object],
    *,
    size: tuple[int, int],
    most: int = MOST_POSITIONS,
    aligned: int = 1,
) -> Tensor:
    """Decompose what a ham sees of a whole image.

    The own pixels of all tiles are the image, so as long as its positions are no more than `most`
    this is the decomposition of the whole image, up to what the tiles' borders change in the
    features. Of larger ones an even grid of positions is taken.

    Args:
        ham: In evaluation mode, over space.
        tiles: Rows and columns of each tile.
        show: Runs the ham's network on a tile.
        size: Height and width of the image.
        most: Positions that are kept at once.
        aligned: The network pads tiles to multiples of this.

    Returns:
        The dictionary (heads, dim // heads, rank).
    """
    kept: list[Tensor] = []
    for rows, columns in tiles:
        with watching_input(ham, partial(_keep, kept, rows, columns, size, most, aligned)):
            show(rows, columns)
    return ham.factorize(torch.cat(kept, dim=-1)).dictionary


def _keep(
    kept: list[Tensor],
    rows: Span,
    columns: Span,
    size: tuple[int, int],
    most: int,
    aligned: int,
    features: Tensor,
) -> None:
    """Keep the positions of a tile's own pixels, (1, dim, positions), or an even grid of them."""
    sides = features.shape[2:]
    strides = [stride_of(span, side, aligned) for span, side in zip((rows, columns), sides, strict=True)]
    positions = math.prod(-(-side // stride) for side, stride in zip(size, strides, strict=True))
    thinning = _thinning(positions, most)
    for axis, (span, stride, step) in enumerate(zip((rows, columns), strides, thinning, strict=True)):
        whole = own_positions(span, sides[axis], aligned)
        own = torch.arange(whole.start, whole.stop, device=features.device)
        features = features.index_select(2 + axis, own[own % step == 0] - span.start // stride)
    kept.append(features.flatten(2))


def stride_of(span: Span, side: int, aligned: int) -> int:
    """Return the pixels of a position of a tile's features, which have `side` positions along the axis."""
    padded = -(-(span.stop - span.start) // aligned) * aligned
    # Strides are powers of two; sizes that they do not divide give a little less.
    return 2 ** round(math.log2(padded / side))


def own_positions(span: Span, side: int, aligned: int) -> range:
    """Return the positions of a tile's own pixels along one axis, on the grid of the whole image.

    Those of all tiles divide that grid. The tile's first position is `span.start // stride_of(...)`.

    Args:
        span: Of the tile.
        side: Positions of its features along the axis.
        aligned: The network pads tiles to multiples of this.
    """
    stride = stride_of(span, side, aligned)
    return range(-(-span.first // stride), min(-(-span.last // stride), span.start // stride + side))


def _thinning(positions: int, most: int) -> tuple[int, int]:
    """Return the smallest steps along both axes, equal or nearly, that leave no more than `most`."""
    step = math.isqrt(max(-(-positions // most) - 1, 0)) + 1  # the root, rounded up
    return (step, step - 1) if step > 1 and step * (step - 1) * most >= positions else (step, step)
