"""Pictures of other than three bands: TIFF as cameras of drones and satellites write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subquad.base.limits import PICTURE_PIXELS
from subquad.data.decoding import TooManyPixelsError, head_of
from subquad.data.tiff_strips import refuse_strips

RGB = 3
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def count_bands(path: Path) -> int:
    """Return the bands of a picture as it is read if nobody says how many; 3 of all that is read as RGB.

    Grey is read as RGB, a band for transparency is dropped; of red, green, blue and one that nothing
    names (such as near infrared) three are read unless four are asked for.

    Args:
        path: Of the file.
    """
    page = _head(path)
    if (
        page is None
        or page["samples"] in (1, RGB)
        or (page["samples"] == 4 and page["photometric"] in _COLORS)
    ):
        return RGB
    return RGB if page["samples"] == 2 and page["alpha"] else page["samples"]


def stored_bands(path: Path) -> int:
    """Return how many bands a TIFF stores; 3 of other files."""
    page = _head(path)
    return RGB if page is None or page["samples"] == 1 else page["samples"]


def is_plain_stack(path: Path) -> bool:
    """Say whether a TIFF has bands that are not told to be red, green and blue, which PIL does not read."""
    page = _head(path)
    if page is None or page["samples"] < RGB:
        return False
    return page["samples"] > 4 or page["photometric"] not in _COLORS


def read_bands(path: Path, bands: int, max_pixels: int = PICTURE_PIXELS) -> tuple[Tensor, int]:
    """Read a picture of so many bands; of more than 8 bits, the upper 8 are taken.

    Args:
        path: Of the file.
        bands: That it must have.
        max_pixels: Refuse a picture of more, before it is decoded.

    Returns:
        The picture, uint8 (bands, H, W), and the bits of a band in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another number of bands, or cannot be decoded.
    """
    import tifffile

    if not path.is_file():
        raise FileNotFoundError(f"there is no image {path}; correct the path.")
    page = _head(path)
    if page is None or page["samples"] != bands:
        found = f"no TIFF of {bands}" if page is None else f"a TIFF of {page['samples']}"
        raise ValueError(
            f"image {path} is {found} bands, and {bands} are read; all pictures need the same number "
            "(--data.bands)."
        )
    height, width, kind, bits = page["height"], page["width"], page["dtype"], page["bits"]
    # A tile is decoded whole, however small the picture is.
    pixels = max(height * width, page["tile"]) * -(-bands // RGB)
    if pixels > max_pixels:
        raise TooManyPixelsError(
            f"image {path} is {height} x {width} (height x width) with {bands} bands, as much as "
            f"{pixels:,} pixels of colour and more than the {max_pixels:,} that are read",
            pixels,
        )
    if kind not in (np.uint8, np.uint16) or bits > 16:
        raise ValueError(
            f"image {path} holds {kind} of {bits} bits; save it with 8 or 16 bits, whole numbers."
        )
    try:
        with tifffile.TiffFile(path) as file:
            refuse_strips(file, file.pages[0])
            values = file.pages[0].asarray()
    except Exception as error:  # tifffile raises whatever a broken file leads to
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"image {path} cannot be decoded ({reason}); save it without compression or as ZIP, or copy it "
            "again."
        ) from error
    values = values.reshape(bands, height, width) if page["planar"] else values.reshape(height, width, bands)
    values = values if page["planar"] else np.moveaxis(values, -1, 0)
    if kind == np.uint16:
        values = values >> (bits - 8)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.uint8)), bits


_COLORS = ("RGB", "PALETTE", "YCBCR", "SEPARATED", "CIELAB")


def _head(path: Path) -> dict[str, Any] | None:
    """Return what the first page of a TIFF is told to be; None of other and of broken files."""
    if not head_of(path).startswith(_TIFF):
        return None
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            photometric = getattr(page.photometric, "name", "")
            bits = page.bitspersample
            return {
                "samples": int(page.samplesperpixel),
                "photometric": photometric,
                "alpha": any(int(sample) in (1, 2) for sample in page.extrasamples),
                "height": int(page.imagelength),
                "width": int(page.imagewidth),
                "dtype": page.dtype,
                "bits": int(bits[0] if isinstance(bits, tuple) else bits),
                "tile": int(page.tilewidth) * int(page.tilelength),
                "planar": int(page.planarconfig) == 2,
            }
    except Exception:  # it is said when the picture is read
        return None
