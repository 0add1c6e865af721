"""How much an answer changes where the picture does not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

STILL = 8  # levels of 255: the noise of cameras and codecs; what changes less is taken for unchanged


@dataclass
class Flicker:
    """Share of pixels whose class changes from a frame to the next though the picture does not.

    A pixel is still if no channel changes by more than `STILL` levels; of the still pixels of all pairs of
    frames that follow each other, those count whose class is another.

    Attributes:
        still: Pixels of all pairs that were still.
        changed: Those of them whose class changed.
    """

    still: int = 0
    changed: int = 0
    _last: NDArray[np.uint8] | None = field(default=None, repr=False)

    def add(self, labels: NDArray[np.uint8], unmoved: NDArray[np.bool_] | None) -> None:
        """Add the classes of the next frame.

        Args:
            labels: (H, W).
            unmoved: Where the picture is as it was, (H, W), of `unmoved_pixels`; None of the first frame.
        """
        if unmoved is not None and self._last is not None:
            self.still += int(unmoved.sum())
            self.changed += int(((labels != self._last) & unmoved).sum())
        self._last = labels

    @property
    def score(self) -> float:
        """The share, 0 to 1; NaN if nothing was still."""
        return self.changed / self.still if self.still else math.nan

    def said(self) -> str:
        """Return it in words, such as "1.25 %"."""
        return f"{100 * self.score:.2f} %" if self.still else "n/a (no pixel is still)"


def difference(pixels: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return by how many levels each channel of each pixel changes, (H, W, 3)."""
    return np.maximum(pixels, before) - np.minimum(pixels, before)


def unmoved_pixels(change: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a picture is as it was, (H, W), from its `difference`."""
    return change.max(axis=2) <= STILL
