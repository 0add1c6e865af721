"""The one reader of pictures: RGB of every kind of file that is taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from subquad.base.limits import PICTURE_PIXELS, SMALL_PICTURE_PIXELS
from subquad.data.bands import RGB, is_plain_stack, read_bands
from subquad.data.decoding import decode, is_transparent, quietly

_STRIP = 1 << 22  # pixels that are converted at once: floats of a whole large picture would not fit


@dataclass(frozen=True)
class Picture:
    """What a network sees, and what is said of it.

    Attributes:
        pixels: RGB, or as many bands as were asked for, uint8 (bands, H, W), upright.
        bits: Of a channel in the file; beyond 8, the upper ones are taken.
        orientation: As it was stored, 1 to 8; 1 is upright.
        transparent: Whether it has pixels that are not opaque.
    """

    pixels: Tensor
    bits: int
    orientation: int
    transparent: bool


def read_image(path: str | Path, max_pixels: int = PICTURE_PIXELS, bands: int = RGB) -> Tensor:
    """Read a picture as RGB, turned upright if its EXIF data say so.

    PNG, JPEG, BMP and TIFF are read, whatever the name says. Transparency is dropped, palettes are
    applied, and of more than 8 bits a channel the upper 8 are taken.

    Args:
        path: The file.
        max_pixels: Refuse a picture of more, before it is decoded.
        bands: How many to read; other than 3 those of a TIFF that stores so many.

    Returns:
        The picture, uint8 (bands, H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, corrupt, too large, animated, no picture, or holds
            floating point values.
    """
    return read_picture(path, max_pixels, bands).pixels


def read_picture(
    source: str | Path | bytes, max_pixels: int = PICTURE_PIXELS, bands: int = RGB, where: str = ""
) -> Picture:
    """Read a picture as `read_image` does, and tell what of its file is lost.

    Args:
        source: The file, or its content.
        max_pixels: As above.
        bands: As above.
        where: What the content is called in messages, if `source` is no path.
    """
    if bands != RGB or (isinstance(source, str | Path) and is_plain_stack(Path(source))):
        if isinstance(source, bytes):
            raise ValueError(f"image {where} is no TIFF of {bands} bands; put it into a file of its own.")
        pixels, bits = read_bands(Path(source), bands, max_pixels)
        return Picture(pixels, bits, orientation=1, transparent=False)
    path = where or str(source)
    decoded = decode(source, "image", max_pixels=max_pixels, where=where)
    with quietly(path, "image"):
        image = decoded.upright
        if image.mode == "F":
            raise ValueError(f"image {path} holds floating point values; save it with 8 bits.")
        pixels = torch.empty((3, image.height, image.width), dtype=torch.uint8)
        rows = max(1, _STRIP // image.width)
        for top in range(0, image.height, rows):
            strip = image.crop((0, top, image.width, min(top + rows, image.height)))
            pixels[:, top : top + rows] = torch.from_numpy(_rgb(strip, decoded.bits, path)).permute(2, 0, 1)
        return Picture(pixels, decoded.bits, decoded.orientation, is_transparent(image))


def read_small(source: Path | bytes, where: str, mode: str) -> NDArray[np.uint8]:
    """Return the pixels of a picture of a data set of small ones.

    Args:
        source: The file, or its content.
        where: Its name, for messages.
        mode: "RGB", or "L" for grey.

    Raises:
        ValueError: If it is broken, of a format that is not read, or larger than any picture of these data.
    """
    decoded = decode(source, "picture", where=where, max_pixels=SMALL_PICTURE_PIXELS)
    return np.asarray(decoded.image.convert(mode))


def _rgb(strip: Image.Image, bits: int, path: str | Path) -> NDArray[np.uint8]:
    """Return RGB, uint8 (H, W, 3), of any kind of picture."""
    if strip.mode.startswith("I"):
        grey = np.asarray(strip).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(
                f"image {path} holds values from {grey.min()} to {grey.max()}; save it with 8 bits."
            )
        shift = bits - 8 if 8 < bits < 16 else 8
        strip = Image.fromarray((grey >> shift).astype(np.uint8))
    return np.array(strip.convert("RGB"))
