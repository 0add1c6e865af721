"""Where the tiles of a large image lie, along one axis at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

WHOLE_PIXELS = 2**21  # of a picture that is shown at once if nobody asks for tiles: what it takes is 1 GiB
GRID = 32  # the coarsest stride of our networks: tiles that start on it share one grid of features


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a large image is cut into tiles.

    Attributes:
        tile: Height and width of a tile, a multiple of 32, at least 128.
        overlap: Share of a tile in which it is blended with its neighbour, above 0 up to 0.5; a
            multiple of 64 pixels is taken, at least 64.
        share_dictionary: Compute one dictionary for the whole image first and encode every tile
            with it; else each tile is decomposed for itself. Takes a second pass over the image.
    """

    tile: int = 1024
    overlap: float = 0.25
    share_dictionary: bool = False

    def __post_init__(self) -> None:
        if self.tile < 4 * GRID or self.tile % GRID:
            fit = max(round(self.tile / GRID), 4) * GRID
            raise ValueError(
                f"tile must be a multiple of {GRID}, at least {4 * GRID} (all tiles then see the image "
                f"on one grid), got {self.tile}; take {fit}."
            )
        if not 0 < self.overlap <= 0.5:
            raise ValueError(f"overlap must be above 0, up to 0.5 of a tile, got {self.overlap}.")

    @property
    def overlap_pixels(self) -> int:
        """Width of a seam in pixels."""
        return max(int(self.tile * self.overlap) // (2 * GRID), 1) * 2 * GRID


AUTOMATIC = Tiling(tile=416, overlap=64 / 416)
"""How a picture of more than `WHOLE_PIXELS` is cut: seams of 64 pixels, and little memory for each tile."""


def box_remark(resize: tuple[int, int] | None, is_cut: bool) -> str:
    """Return what is to be said, on the command line, of pictures that are resized; empty: nothing.

    Args:
        resize: Of the network's configuration: the box that pictures are resized into.
        is_cut: Whether tiles are asked for, which show pictures as they are.
    """
    if resize is None:
        return ""
    box = f"{max(resize)} x {min(resize)}"
    if is_cut:
        return (
            f"note: the network was trained on pictures resized to fit {box}, and tiles show them in full "
            "size; leave --tile out to have them resized.\n"
        )
    return (
        f"note: pictures of any size are resized to fit {box}, as the network was trained; --tile 512 shows "
        "them in full size.\n"
    )


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in pixels of the image.

    Attributes:
        start: Its first pixel.
        stop: After its last pixel.
        first: The first pixel of its own, between the middles of its seams.
        last: After the last one of its own.
        fade_in: Pixels around `first` in which it follows its predecessor; 0 for the first tile.
        fade_out: Pixels around `last` in which its successor follows it; 0 for the last tile.
    """

    start: int
    stop: int
    first: int
    last: int
    fade_in: int
    fade_out: int


def spans(length: int, tiling: Tiling) -> list[Span]:
    """Cut one axis into tiles that overlap by `tiling.overlap_pixels` at least.

    Tiles start on the grid and are spread evenly; the last one may be up to 31 pixels smaller. The
    pixels of their own divide the axis, and seams do not touch: each pixel lies in at most one.

    Args:
        length: Of the axis, in pixels.
        tiling: Tile and overlap.
    """
    tile, overlap = tiling.tile, tiling.overlap_pixels
    if length <= tile:
        return [Span(0, length, 0, length, 0, 0)]
    last_start = -(-(length - tile) // GRID) * GRID
    count = 1 + -(-(length - tile) // (tile - overlap))
    starts = [index * last_start // (count - 1) // GRID * GRID for index in range(count)]
    stops = [min(start + tile, length) for start in starts]
    seams = [(start + stop) // 2 // GRID * GRID for start, stop in zip(starts[1:], stops, strict=False)]
    between = min((b - a for a, b in pairwise(seams)), default=overlap)
    fades = [0, *[min(overlap, between)] * len(seams), 0]
    cuts = [0, *seams, length]
    return [
        Span(start, stop, cuts[i], cuts[i + 1], fades[i], fades[i + 1])
        for i, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]
