"""Colours of classes: palettes, and masks stored as colours."""

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IGNORE_INDEX = 255
"""The label of pixels that are neither trained on nor counted."""

MAX_CLASSES = IGNORE_INDEX

Color = tuple[int, int, int]


def default_palette(num_classes: int) -> tuple[Color, ...]:
    """Give distinct, pleasant colours; the first n are the same for every `num_classes`.

    Args:
        num_classes: 1 to 255.

    Returns:
        One (red, green, blue) per class, each 0 to 255.

    Raises:
        ValueError: If `num_classes` is out of range.
    """
    check_num_classes(num_classes)
    golden_ratio = 0.618033988749895  # its multiples spread evenly on the circle of hues
    tones = ((0.55, 0.90), (0.75, 0.65), (0.35, 0.75), (0.80, 0.95), (0.50, 0.50))
    colors = []
    for index in range(num_classes):
        hue = (0.58 + index * golden_ratio) % 1.0
        red, green, blue = colorsys.hsv_to_rgb(hue, *tones[index % len(tones)])
        colors.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colors)


def color_to_index(
    rgb: NDArray[np.uint8], palette: Sequence[Color], ignore_color: Color | None = None
) -> NDArray[np.uint8]:
    """Turn a mask of colours into a mask of class indices.

    Args:
        rgb: Colours, uint8 (H, W, 3).
        palette: The colour of each class, all different, at most 255.
        ignore_color: The colour that becomes `IGNORE_INDEX`; None if there is none.

    Returns:
        Class indices, uint8 (H, W).

    Raises:
        ValueError: If a pixel has a colour that is neither in the palette nor `ignore_color`, or
            two classes share a colour.
    """
    colors, indices = list(palette), list(range(len(palette)))
    if ignore_color is not None:
        colors, indices = [*colors, ignore_color], [*indices, IGNORE_INDEX]
    refuse_shared_colors(colors)
    keys = pack_colors(np.array(colors, dtype=np.uint8))
    order = np.argsort(keys)
    pixels = pack_colors(rgb)
    position = np.searchsorted(keys[order], pixels).clip(max=len(colors) - 1)
    unknown = keys[order][position] != pixels
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        color = tuple(int(level) for level in rgb[row, column])
        raise ValueError(
            f"the colour {color} at row {row}, column {column} belongs to no class; add it to "
            'the palette, or name it as "ignore_rgb" in classes.json; if it is at an edge only, export the '
            "masks without smoothing."
        )
    return np.array(indices, dtype=np.uint8)[order][position]


def index_to_color(
    indices: NDArray[np.uint8], palette: Sequence[Color], ignore_color: Color | None = None
) -> NDArray[np.uint8]:
    """Paint a mask of class indices.

    Args:
        indices: Class indices or `IGNORE_INDEX`, uint8 (H, W).
        palette: The colour of each class.
        ignore_color: The colour of ignored pixels; None for black.

    Returns:
        Colours, uint8 (H, W, 3).

    Raises:
        ValueError: If an index is neither in the palette nor `IGNORE_INDEX`.
    """
    outside = (indices >= len(palette)) & (indices != IGNORE_INDEX)
    if outside.any():
        raise ValueError(
            f"class {int(indices[outside][0])} has no colour in a palette of {len(palette)}; "
            "give the palette of the label set that the mask was made with."
        )
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(palette)] = palette
    table[IGNORE_INDEX] = ignore_color or (0, 0, 0)
    return table[indices]


def refuse_shared_colors(colors: Sequence[Color]) -> None:
    """Raise ValueError if a colour occurs twice, so that it does not tell the class."""
    if twice := first_repeated(colors):
        raise ValueError(
            f"the colour {twice!r} is used twice, so masks stored as colours do not tell the class; make "
            "each one unique, or store class indices."
        )


def voc_palette(count: int = 256) -> tuple[Color, ...]:
    """Give the colours of PASCAL VOC's masks: the bits of the index, spread over the channels.

    Bits 0, 3 and 6 of the index are the highest bits of red, then lower ones; bits 1, 4 and 7 those
    of green; bits 2 and 5 those of blue. Entry 255, of ignored pixels, is (224, 224, 192).

    Args:
        count: 1 to 256; a PNG file's colour table has 256.

    Returns:
        One (red, green, blue) per index, each 0 to 255, all different.

    Raises:
        ValueError: If `count` is out of range.

    References:
        Everingham et al., The PASCAL Visual Object Classes Challenge 2012 development kit,
        VOClabelcolormap.
    """
    if not 1 <= count <= 256:
        raise ValueError(f"a colour table has 1 to 256 entries, not {count}.")
    levels = [
        [sum((index >> 3 * bit + channel & 1) << 7 - bit for bit in range(3)) for channel in range(3)]
        for index in range(count)
    ]
    return tuple((red, green, blue) for red, green, blue in levels)


def pack_colors(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Pack colours, uint8 (..., 3), into one 24-bit number each, uint32 (...)."""
    packed = rgb[..., 0].astype(np.uint32)
    for channel in (1, 2):  # in place: masks may have hundreds of millions of pixels
        packed <<= 8
        packed |= rgb[..., channel]
    return packed


def check_num_classes(num_classes: int) -> None:
    """Raise ValueError unless 8-bit masks can hold so many classes."""
    if not 1 <= num_classes <= MAX_CLASSES:
        raise ValueError(
            f"{num_classes} classes do not fit an 8-bit mask in which {IGNORE_INDEX} is ignored; "
            f"use 1 to {MAX_CLASSES}."
        )


def first_repeated(values: Sequence[object]) -> object:
    """Return the first value that occurred before, or None."""
    return next((value for n, value in enumerate(values) if value in values[:n]), None)
