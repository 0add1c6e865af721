"""What a request asks: its parameters, each of them checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from subquad.base.suggest import did_you_mean
from subquad.tasks.segmentation.serve.limits import Limits, Refusal
from subquad.tasks.segmentation.tiling import AUTOMATIC, WHOLE_PIXELS, Tiling

OF_PREDICTION = ("steps", "tile", "share_dictionary", "format", "picture")
OF_EXPLANATION = ("steps", "tile", "x", "y")
LARGEST = 10**9  # of a number


@dataclass(frozen=True)
class Question:
    """How a picture is to be looked at.

    Attributes:
        steps: Iterations of the decomposition; None: the network's own.
        tiling: How it is cut; None: not at all.
        if_large: Whether it is only cut if it has more than `WHOLE_PIXELS`.
    """

    steps: int | None
    tiling: Tiling | None
    if_large: bool = False

    def tiling_of(self, pixels: int) -> Tiling | None:
        """Return how a picture of so many pixels is cut."""
        return None if self.if_large and pixels <= WHOLE_PIXELS else self.tiling


def question_of(parameters: Mapping[str, str], limits: Limits, tile: int | None, has_ham: bool) -> Question:
    """Return what the parameters ask.

    Args:
        parameters: By name.
        limits: Of the server.
        tile: What is taken if `tile` is not among them; None: tiles for large pictures, as `predict` does.
        has_ham: Whether the network has a dictionary.

    Raises:
        Refusal: If a value does not fit, or the network has nothing of that kind.
    """
    steps = None
    if "steps" in parameters:
        steps = whole_number(parameters, "steps", 1, limits.max_steps)
        if not has_ham:
            raise Refusal(422, "this network has no matrix decomposition, so no steps; leave `steps` out.")
    is_automatic = parameters.get("tile") == "auto" or ("tile" not in parameters and tile is None)
    if "tile" in parameters and not is_automatic:
        tile = whole_number(parameters, "tile", 0, LARGEST) or None
    shares = choice(parameters, "share_dictionary", ("false", "true"), "false") == "true"
    if shares and (is_automatic or tile is None):
        raise Refusal(422, "`share_dictionary` is of tiles; give `tile` too, such as tile=1024.")
    if shares and not has_ham:
        raise Refusal(422, "this network has no dictionary that tiles could share; leave it out.")
    if is_automatic:
        return Question(steps, AUTOMATIC, if_large=True)
    try:
        tiling = None if tile is None else Tiling(tile=tile, share_dictionary=shares)
    except ValueError as error:
        raise Refusal(422, str(error)) from error
    return Question(steps, tiling)


def wanted_format(parameters: Mapping[str, str], accept: str) -> Literal["json", "png"]:
    """Return the format of an answer: that of the parameter `format`, else what the header Accept names."""
    named = choice(parameters, "format", ("json", "png"), "")
    if not named:
        named = "png" if "image/png" in accept and "json" not in accept else "json"
    return "png" if named == "png" else "json"


def check_names(parameters: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Raise Refusal for a parameter that there is not."""
    for name in parameters:
        if name not in known:
            hint = did_you_mean(name, known)
            raise Refusal(422, f"there is no parameter {name[:40]!r}.{hint} There are {', '.join(known)}.")


def whole_number(parameters: Mapping[str, str], name: str, least: int, most: int) -> int:
    """Return a parameter that is a whole number.

    Raises:
        Refusal: If it is missing, no whole number, or out of range.
    """
    text = parameters.get(name, "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not least <= number <= most:
        what = f"a whole number from {least} to {most:,}"
        if name not in parameters:
            raise Refusal(422, f"`{name}` is missing: {what}.")
        raise Refusal(422, f"`{name}` must be {what}, got {text[:40]!r}.")
    return number


def choice(parameters: Mapping[str, str], name: str, values: tuple[str, ...], default: str) -> str:
    """Return a parameter that is one of some words.

    Raises:
        Refusal: If it is another.
    """
    value = parameters.get(name, default)
    if name in parameters and value not in values:
        raise Refusal(422, f"`{name}` must be {' or '.join(values)}, got {value[:40]!r}.")
    return value
