"""The one reader of masks: the values are those that the file stores, and lossy files hold none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subquad.base.limits import PICTURE_PIXELS
from subquad.data.decoding import decode, is_transparent
from subquad.data.pictures import Picture
from subquad.tasks.segmentation.data.array_masks import ARRAY, read_array_mask
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, Color, color_to_index
from subquad.tasks.segmentation.data.labels import LabelSet

WITHOUT_TRANSPARENCY = (
    "save them without transparency; if the classes are in the alpha channel, save that as a grey PNG."
)
"""What is done about masks with transparent pixels."""


class LossyMaskError(ValueError):
    """A mask whose compression changed the values."""


@dataclass(frozen=True)
class Mask:
    """A mask as its file stores it.

    Attributes:
        values: Indices (H, W) of any integer type, or colours, uint8 (H, W, 3).
        bits: Of a value in the file.
        table: The colour of each index; None of grey masks, of colours, and where the table is grey,
            which tells nothing.
        transparent: Whether there are pixels that are not opaque.
    """

    values: NDArray[Any]
    bits: int
    table: tuple[Color, ...] | None = None
    transparent: bool = False


def read_mask(path: str | Path, labels: LabelSet, max_pixels: int = PICTURE_PIXELS) -> Tensor:
    """Read the class indices of a mask.

    Grey masks (1 to 16 bits) hold the indices; of masks with a colour table the indices are
    taken, not the colours; RGB masks are translated with the palette of `labels`.

    Args:
        path: A PNG, BMP or TIFF file without loss, whatever its name says, or an array `.npy`.
        labels: The classes that may occur.
        max_pixels: Refuse a mask of more, before it is decoded.

    Returns:
        Class indices or `IGNORE_INDEX`, uint8 (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, corrupt or lossy, holds a value or colour of no class, or
            its colour table gives an index the colour of another class; or if it has transparent pixels.
    """
    mask = open_mask(path, max_pixels)
    values = mask.values
    if mask.transparent:
        raise ValueError(
            f"mask {path} has transparent pixels, whose colours do not show; {WITHOUT_TRANSPARENCY}"
        )
    if values.ndim == 3:
        try:
            indices = color_to_index(values, labels.palette, labels.ignore_color)
        except ValueError as error:
            raise ValueError(f"mask {path}: {error}") from error
        return torch.from_numpy(indices)
    wrong = ((values < 0) | (values >= labels.num_classes)) & (values != IGNORE_INDEX)
    if wrong.any():
        raise ValueError(
            f"mask {path} holds value {int(values[wrong][0])}, but the classes are "
            f"0..{labels.num_classes - 1} ({IGNORE_INDEX} is ignored); fix the mask, or add the "
            "class to classes.json (without such a file: leave --data.num_classes out, or raise it)."
        )
    indices = values.astype(np.uint8)
    if mask.table is not None:
        used = torch.bincount(torch.from_numpy(indices).flatten(), minlength=256).nonzero().flatten().tolist()
        refuse_other_colors(path, mask.table, used, labels)
    return torch.from_numpy(indices)


def read_raw_mask(path: str | Path, max_pixels: int = PICTURE_PIXELS) -> NDArray[Any]:
    """Read the values of a mask as they are stored, without knowing the classes; see `open_mask`.

    Returns:
        Indices (H, W) of any integer type, or colours, uint8 (H, W, 3).
    """
    return open_mask(path, max_pixels).values


def open_mask(path: str | Path, max_pixels: int = PICTURE_PIXELS) -> Mask:
    """Read a mask as it is stored, without knowing the classes.

    Args:
        path: A PNG, BMP or TIFF file without loss, whatever its name says, or an array `.npy`.
        max_pixels: Refuse a mask of more, before it is decoded.

    Raises:
        FileNotFoundError: If there is no such file.
        LossyMaskError: If its compression changes values, as JPEG does.
        ValueError: If the file is truncated, corrupt, or of a kind that cannot hold classes.
    """
    if Path(path).suffix.lower() == ARRAY:
        return Mask(read_array_mask(Path(path), max_pixels), 8)
    decoded = decode(path, "mask", max_pixels=max_pixels)
    if decoded.lossy:
        raise LossyMaskError(
            f"mask {path} is compressed as JPEG or the like, whatever its name says, which changes class "
            "values; export the masks as PNG."
        )
    if decoded.white_is_zero:
        raise ValueError(
            f"mask {path} stores white as 0, as faxes do, and readers disagree whether to turn that round; "
            "save it as PNG."
        )
    mask, bits = decoded.upright, decoded.bits
    is_color = mask.mode in ("RGB", "RGBA", "RGBX")
    if bits > 8 and (is_color or mask.mode == "LA"):
        raise ValueError(
            f"mask {path} holds colours or transparency with {bits} bits; save the class indices as 8-bit "
            "grey PNG."
        )
    transparent = mask.mode in ("RGBA", "LA") and is_transparent(mask)
    if is_color:
        return Mask(np.array(mask.convert("RGB")), bits, transparent=transparent)
    if mask.mode == "1":
        return Mask(np.array(mask).astype(np.uint8), bits)
    if mask.mode in ("LA", "PA"):
        return Mask(np.array(mask.getchannel(0)), bits, transparent=transparent)
    if mask.mode == "P":
        values = np.array(mask)
        levels = np.array(mask.getpalette(), dtype=np.int64).reshape(-1, 3)
        return Mask(values, bits, _colored(levels))
    if mask.mode == "L":
        stretched = 255 // (2**bits - 1) if bits < 8 else 1  # PIL multiplies 2 bits by 85 and 4 by 17
        return Mask(np.array(mask) // stretched, bits)
    if mask.mode.startswith("I"):
        return Mask(np.array(mask), bits)
    raise ValueError(
        f"mask {path} is of the kind {mask.mode!r}, which holds no classes; save the class "
        "indices as 8-bit grey PNG."
    )


def refuse_other_colors(
    path: str | Path, table: tuple[Color, ...], used: list[int], labels: LabelSet
) -> None:
    """Raise ValueError if a colour table gives an index that is used the colour of another class.

    Args:
        path: Of the mask.
        table: The colour of each index.
        used: The indices that occur.
        labels: The classes and their colours; colours of no class tell nothing.
    """
    meanings = {color: f"class {name!r}" for name, color in zip(labels.names, labels.palette, strict=True)}
    if labels.ignore_color is not None:
        meanings.setdefault(labels.ignore_color, "ignored pixels")
    for index in used:
        color = table[index] if index < len(table) else None
        is_class = index < labels.num_classes
        if color not in meanings or color == (labels.palette[index] if is_class else labels.ignore_color):
            continue
        assert color is not None
        own = f"class {index} {labels.names[index]!r}" if is_class else "ignored"
        raise ValueError(
            f"mask {path} gives index {index}, which is {own}, the colour {color} of {meanings[color]}: its "
            "colour table was sorted anew, or palette_rgb of classes.json is wrong; save the masks as grey "
            "class indices, or as RGB."
        )


def check_same_size(picture: Picture, image_path: Path, mask: Tensor | NDArray[Any], mask_path: Path) -> None:
    """Raise ValueError if picture and mask (H, W, ...) differ in height or width."""
    (height, width), (mask_height, mask_width) = picture.pixels.shape[1:], mask.shape[:2]
    if (height, width) == (mask_height, mask_width):
        return
    turned = picture.orientation > 4 and (width, height) == (mask_height, mask_width)
    remedy = (
        "its EXIF data turn the image upright, and the mask is not turned; turn the mask, or save the image "
        "without EXIF"
        if turned
        else "make them equal"
    )
    raise ValueError(
        f"image {image_path} is {height} x {width}, but mask {mask_path} is {mask_height} x "
        f"{mask_width} (height x width); {remedy}."
    )


def _colored(levels: NDArray[np.int64]) -> tuple[Color, ...] | None:
    """Return a colour table; None if it is a ramp of grey, as tools write it that mean no colours."""
    if (levels == levels[:, :1]).all() and (np.diff(levels[:, 0]) >= 0).all():
        return None
    return tuple((red, green, blue) for red, green, blue in levels.tolist())
