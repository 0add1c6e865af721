"""The two forms of a file that names classes: JSON, and lines of text."""

from __future__ import annotations

import json
import re
from typing import Any

from subquad.base.suggest import quote
from subquad.tasks.segmentation.data.colors import Color

Classes = tuple[tuple[str, ...], tuple[Color, ...] | None, Color | None]
"""Names, a colour each if there are any, and the colour of ignored pixels."""

_COLOR_FIRST = re.compile(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+([^\d\s].*)")
_COLOR_LAST = re.compile(r"(.*\S)\s+(\d+)\s+(\d+)\s+(\d+)")
_NUMBERED = re.compile(r"(\d+)\s*[\s,;:.)=]\s*(\S.*)")


def parse_json(text: str) -> Classes:
    """Read `{"classes": [names], "palette_rgb": [[r, g, b], ...], "ignore_rgb": [r, g, b]}`.

    Raises:
        ValueError: If it is something else, or says one thing twice.
    """
    content = json.loads(text, object_pairs_hook=_once)
    names = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError('it needs a key "classes" with a list of names.')
    colors, ignore_color = content.get("palette_rgb"), content.get("ignore_rgb")
    if not isinstance(colors, list | None):
        raise ValueError(f"{colors!r} is no list of colours; give one [r, g, b] per class.")
    palette = None if colors is None else tuple(map(_as_color, colors))
    return tuple(names), palette, None if ignore_color is None else _as_color(ignore_color)


def parse_text(text: str) -> Classes:
    """Read one `name`, `name r g b` or `r g b name` a line, maybe numbered from 0 on.

    Empty lines and lines that start with `#` are skipped.

    Raises:
        ValueError: If the numbers are not those of the classes.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    first = _matches(_COLOR_FIRST, lines)
    if len(first) < len(lines):
        lines = _without_numbers(lines)
        first = _matches(_COLOR_FIRST, lines)
    if lines and len(first) == len(lines):
        return tuple(match[4] for match in first), tuple(_color(match.groups()[:3]) for match in first), None
    last = _matches(_COLOR_LAST, lines)
    names = tuple(match[1] if (match := _COLOR_LAST.fullmatch(line)) else line for line in lines)
    return names, tuple(_color(match.groups()[1:]) for match in last) or None, None


def _matches(pattern: re.Pattern[str], lines: list[str]) -> list[re.Match[str]]:
    return [match for line in lines if (match := pattern.fullmatch(line))]


def _color(levels: tuple[str, ...]) -> Color:
    red, green, blue = map(int, levels)
    return red, green, blue


def _without_numbers(lines: list[str]) -> list[str]:
    """Take the numbers off lines that all begin with one, if these are the indices of the classes."""
    found = _matches(_NUMBERED, lines)
    if len(found) < len(lines):
        return lines
    numbers = [int(match[1]) for match in found]
    if numbers != [*range(len(lines))]:
        raise ValueError(
            f"its lines are numbered {quote([*map(str, numbers)], most=5)}, but classes are numbered from 0 "
            "on in the order of the lines; put them in order, one line a class, or write a classes.json."
        )
    return [match[2] for match in found]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dictionary of JSON, in which the last of several equal keys would win."""
    keys = [key for key, _ in pairs]
    if twice := next((key for n, key in enumerate(keys) if key in keys[:n]), None):
        raise ValueError(f"the key {twice!r} occurs twice; keep the one that is meant.")
    return dict(pairs)


def _as_color(levels: object) -> Color:
    if not isinstance(levels, list) or [type(level) for level in levels] != [int] * 3:
        raise ValueError(f"{levels!r} is no colour; give [red, green, blue] from 0 to 255.")
    red, green, blue = levels
    return red, green, blue
