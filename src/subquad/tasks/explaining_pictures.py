"""What the explanations of pictures have in common: the pixel that `--at x,y` means, and a ham."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from subquad.engine.options import add_optional
from subquad.engine.parsing import Parser
from subquad.explain.code_maps import last_ham


def add_picture_options(p: Parser, most_pixels: int) -> None:
    """Add `--at`, how large the picture may be, and that the input is one.

    Args:
        p: The options.
        most_pixels: Of a picture, if nothing is said.
    """
    add_optional(
        p,
        "at",
        str,
        "x,y of a pixel from the upper left, from 0 on: also what its position is made of and like.",
    )
    p.checks += [lambda options: numbers_of(options.at), lambda options: _refuse_folder(options.input)]
    p.usual.append("at")
    p.add_argument("--max_pixels", type=int, default=most_pixels, help="Refuse pictures of more.")


def _refuse_folder(path: str) -> None:
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder, and one picture is explained; give a picture in it.")


def pixel_of(at: str | None, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return x and y of the pixel that `--at` means in a picture; None for none.

    Args:
        at: What was given.
        size: Height and width of the picture.

    Raises:
        ValueError: If it is no pixel of the picture; says how large that is.
    """
    found = numbers_of(at)
    if found is None:
        return None
    height, width = size
    if not (0 <= found[0] < width and 0 <= found[1] < height):
        raise ValueError(
            f"--at {at} is outside: the picture has {width} x {height} pixels, so x is 0 to {width - 1} and "
            f"y 0 to {height - 1}."
        )
    return found


def numbers_of(at: Any) -> tuple[int, int] | None:
    """Return x and y as they stand.

    Args:
        at: What was given; None for nothing.

    Raises:
        ValueError: If these are no two whole numbers.
    """
    if at is None:
        return None
    match = re.fullmatch(r"\s*(-?\d{1,9})\s*[,;x ]\s*(-?\d{1,9})\s*", at, re.ASCII)
    if match is None:
        raise ValueError(f"--at must be x,y, two whole numbers such as --at 120,40, got {at[:60]!r}.")
    return int(match[1]), int(match[2])


def require_ham(network: Any, model: str) -> None:
    """Raise ValueError unless a network has a ham that is explained.

    Args:
        network: A network on pictures.
        model: As it was named.
    """
    try:
        last_ham(network)
    except ValueError as error:
        context = getattr(network.config, "context", "none")
        raise ValueError(
            f"{model} has no ham over space (its context is {context!r}), so there is no decomposition to "
            f"explain; `subquad predict` tells its classes."
        ) from error
