"""Generated images as bytes, grids and files."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.base.files import write_whole

BORDER = 2  # pixels between the images of a grid
TOLERANCE = 1e-3  # by which images may be outside -1..1: bfloat16 rounds 1 to 1.0


def to_bytes(images: Tensor) -> Tensor:
    """Bring images from -1..1 to 0..255, rounded, uint8.

    Raises:
        ValueError: If a value is NaN or outside -1..1: such an image would be cut off, or is not
            scaled as the networks' are.
    """
    low, high = (float(value) for value in torch.aminmax(images)) if images.numel() else (0.0, 0.0)
    if not (low >= -1 - TOLERANCE and high <= 1 + TOLERANCE):
        raise ValueError(f"images must be in -1..1, got values from {low:.4g} to {high:.4g}.")
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def image_grid(images: Tensor) -> Tensor:
    """Lay images out on white.

    Args:
        images: In -1..1, (rows, columns, channels, side, side).

    Returns:
        One picture, uint8 (channels, height, width), the images apart by a border.
    """
    pixels = F.pad(to_bytes(images).cpu(), (0, BORDER, 0, BORDER), value=255)
    grid = pixels.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)  # torchvision's has three channels always
    return F.pad(grid, (BORDER, 0, BORDER, 0), value=255)


def write_png(pixels: Tensor, path: str | Path) -> None:
    """Write uint8 (1 or 3, height, width) as a PNG file that is whole or not there.

    Raises:
        ValueError: If it has another number of channels.
    """
    from PIL import Image

    if pixels.shape[0] not in (1, 3):
        raise ValueError(f"a PNG file has 1 or 3 channels, got {pixels.shape[0]}.")
    array = pixels.cpu().squeeze(0).numpy() if pixels.shape[0] == 1 else pixels.cpu().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    write_whole(path, buffer.getvalue())
