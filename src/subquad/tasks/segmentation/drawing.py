"""Masks and overlays as they are written and shown."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from subquad.data.bands import RGB
from subquad.models import SegmentationConfig
from subquad.tasks.segmentation.data.colors import Color, index_to_color
from subquad.tasks.segmentation.data.labels import LabelSet

STRIP = 64  # rows of an overlay that are mixed at once


def palette_of(config: SegmentationConfig) -> Sequence[Color]:
    """Return the colours of a network's classes; of one without, the usual ones."""
    return config.palette or LabelSet.generic(config.num_classes).palette


def names_of(config: SegmentationConfig) -> Sequence[str]:
    """Return the names of a network's classes; of one without, the usual ones."""
    return config.class_names or LabelSet.generic(config.num_classes).names


def mask_picture(labels: Tensor, palette: Sequence[Color]) -> Image.Image:
    """Return class indices, (H, W), as a picture with a palette."""
    picture = Image.fromarray(labels.numpy().astype("uint8"), mode=None)
    picture.putpalette([level for color in palette for level in color])
    return picture


def overlay_picture(image: Tensor, labels: Tensor, palette: Sequence[Color], opacity: float) -> Image.Image:
    """Return a picture, uint8 (bands, H, W), with the classes' colours laid over it.

    Of other bands than three it is the first three, or one.
    """
    image = image[:RGB] if len(image) >= RGB else image[:1].expand(RGB, -1, -1)
    mixed = image.movedim(0, -1).numpy().copy()
    for top in range(0, len(mixed), STRIP):  # floats of a whole large picture would not fit
        strip = mixed[top : top + STRIP]
        colors = index_to_color(labels[top : top + STRIP].numpy(), palette)
        strip[:] = ((1 - opacity) * strip + opacity * colors).round()
    return Image.fromarray(mixed)


def encoded(picture: Image.Image, kind: str, quality: int = 75) -> bytes:
    """Return the content of a picture's file.

    Args:
        picture: To be encoded.
        kind: "PNG" or "JPEG".
        quality: Of JPEG.
    """
    content = io.BytesIO()
    picture.save(content, kind, quality=quality)
    return content.getvalue()
