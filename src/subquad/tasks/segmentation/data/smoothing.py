"""Masks whose edges were smoothed: values between those of two classes, which are of neither."""

from __future__ import annotations

from collections import Counter

import numpy as np

from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, Color

NO_SMOOTHING = "export the masks without smoothing (no anti-aliasing, resizing by the nearest pixel)"
"""What is done about it."""

_LEAST = 4  # colours in between: fewer may be classes, as PASCAL VOC has some whose colours lie so
_ROUNDED = 0.75  # squared distance from the line between two colours, of three channels that are rounded
_LEAST_GREY = 8  # values that are no class ...
_BRIGHT = 200  # ... some of them beyond this, which indices seldom reach


def is_smoothed(colors: Counter[Color]) -> bool:
    """Say whether most colours lie between two that are more frequent.

    Args:
        colors: How often each occurs.
    """
    ends: list[Color] = []
    for color, _ in colors.most_common():
        if not _is_between(color, ends):
            ends.append(color)
    between = len(colors) - len(ends)
    return between >= _LEAST and between > len(ends)


def is_smoothed_grey(values: Counter[int | Color], num_classes: int) -> bool:
    """Say whether grey values look like edges between 0 and a foreground of 255.

    Args:
        values: How often each occurs.
        num_classes: That are expected; lower values may be classes.
    """
    wrong = [value for value in values if isinstance(value, int) and num_classes <= value < IGNORE_INDEX]
    rare = sum(values[value] for value in wrong) < values[IGNORE_INDEX]
    return rare and len(wrong) >= _LEAST_GREY and max(wrong) > _BRIGHT


def _is_between(color: Color, ends: list[Color]) -> bool:
    """Say whether a colour lies on the line between any two others."""
    if len(ends) < 2:
        return False
    first, second = (np.array(ends, dtype=np.float64)[at] for at in np.triu_indices(len(ends), 1))
    line, offset = second - first, np.array(color, dtype=np.float64) - first
    share = (line * offset).sum(1) / np.square(line).sum(1)
    away = np.square(offset - share[:, None] * line).sum(1)
    return bool(((share > 0) & (share < 1) & (away <= _ROUNDED)).any())
