"""Pictures inside of a page: small, and as data URIs."""

from __future__ import annotations

import base64
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 320  # pixels of the longer side, at most
QUALITY = 80
Pixels = NDArray[np.uint8]

# From nothing to much: dark violet, red, orange, pale yellow; of even steps in lightness.
RAMP = np.array(
    [(0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)], dtype=float
)


def data_uri(picture: Pixels, kind: Literal["jpeg", "png"] = "jpeg", side: int = SIDE) -> str:
    """Return a picture as a data URI.

    Args:
        picture: RGB, (H, W, 3).
        kind: "png" for areas of few colours, which stay as they are.
        side: It is shrunk until no side is longer.
    """
    image = Image.fromarray(np.ascontiguousarray(picture))
    factor = side / max(image.size)
    if factor < 1:
        how = Image.Resampling.NEAREST if kind == "png" else Image.Resampling.BOX
        width, height = (max(1, round(length * factor)) for length in image.size)
        image = image.resize((width, height), how)
    buffer = io.BytesIO()
    if kind == "png":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def heat_picture(values: NDArray[np.floating], low: float, high: float) -> Pixels:
    """Paint a map of numbers, (h, w) to RGB (h, w, 3), on a scale that is common to several maps."""
    share = np.clip((np.asarray(values, float) - low) / (high - low if high > low else 1.0), 0, 1)
    place = share * (len(RAMP) - 1)
    below = np.minimum(place.astype(int), len(RAMP) - 2)
    rest = (place - below)[..., None]
    return ((1 - rest) * RAMP[below] + rest * RAMP[below + 1]).round().astype(np.uint8)


def enlarged(picture: Pixels, side: int = SIDE) -> Pixels:
    """Repeat the pixels of a small map until its longer side is close to a number of pixels."""
    times = max(1, side // max(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)
