"""How much a request may ask for, and how many of them are had at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from subquad.base.limits import (
    AT_ONCE_BYTES,
    MIB,
    REDUCED_PIXEL_BYTES,
    SCORE_BYTES,
    UNTILED_PIXELS,
    WHOLE_PIXEL_BYTES,
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server takes.

    Attributes:
        max_bytes: Of the body of a request.
        max_pixels: Of a picture.
        max_pictures: Of a request.
        max_steps: Of a decomposition; six are published.
        max_answer: Bytes of an answer, for all pictures of a request.
        requests: That are read, wait or are answered at once; further ones are sent away.
        seconds: In which the body of a request must have come.
    """

    max_bytes: int = 64 * MIB
    max_pixels: int = UNTILED_PIXELS
    max_pictures: int = 32
    max_steps: int = 32
    max_answer: int = 128 * MIB
    requests: int = 32
    seconds: float = 60.0


def pixels_at_once(classes: int, is_reduced: bool) -> int:
    """Return how many pixels a picture may have that is not cut, so that it takes `AT_ONCE_BYTES`.

    Args:
        classes: Of the network.
        is_reduced: Whether it is shown pictures reduced.
    """
    scores = REDUCED_PIXEL_BYTES + SCORE_BYTES * classes
    return AT_ONCE_BYTES // (scores if is_reduced else max(scores, WHOLE_PIXEL_BYTES))


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: Of HTTP.
        sentence: What is wrong with it, and the remedy.
        headers: Of the answer.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})


@dataclass
class Admission:
    """Counts the requests that are at work, which is all that is held of them at once.

    Used on the event loop alone.

    Attributes:
        most: That are let in.
        inside: That are in.
        last_seconds: That the last picture took.
    """

    most: int
    inside: int = field(default=0, init=False)
    last_seconds: float = field(default=1.0, init=False)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Let a request in for a while.

        Raises:
            Refusal: If there is no place; tells when to come again.
        """
        if self.inside >= self.most:
            wait = max(1, math.ceil(self.inside * self.last_seconds))
            raise Refusal(
                503,
                f"{self.inside} requests are at work or wait, which is all that are taken; try again in "
                f"{wait} s.",
                {"Retry-After": str(wait)},
            )
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
