"""Transforms of an image together with its labels, both uint8, for training and evaluation.

All chance comes from torch's global generator: seed it, and the output is the same again.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from subquad.tasks.segmentation.data.colors import IGNORE_INDEX

PADDING_COLOR = (124, 116, 104)
"""The mean colour of ImageNet: padding that the usual normalisation turns into about zero."""

PADDING_LEVEL = 128
"""The same of pictures of other than three bands."""


@dataclass(frozen=True)
class TrainTransform:
    """Random scale, crop, flip and colour jitter.

    The part of the picture that the crop needs is cut out before it is resized and before its
    colours change. That gives the same crops as resizing the whole picture and cutting afterwards
    (up to rounding of the position to whole pixels), at a fraction of the cost.

    Args:
        crop: Height and width of the output in pixels; smaller pictures are padded at the right
            and at the bottom, the image with `PADDING_COLOR`, the labels with `IGNORE_INDEX`.
            None keeps the whole scaled picture.
        scale: Smallest and largest factor of the size of the picture; drawn uniformly.
        flip: Probability of a horizontal flip, 0 to 1.
        brightness: Strength of the jitter: the factor is drawn from 1 - strength to 1 + strength.
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: Largest turn of the hues, as a part of the colour circle, 0 to 0.5.

    Raises:
        ValueError: If an argument is out of range.
    """

    crop: tuple[int, int] | None
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        """Refuse arguments that would only fail, or do nothing, later."""
        check_size("crop", self.crop)
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale={self.scale}: take two growing factors above 0.")
        for name, highest in _HIGHEST.items():
            if not 0 <= getattr(self, name) <= highest:
                raise ValueError(f"{name}={getattr(self, name)}: take 0 to {highest}.")

    def __call__(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Transform one pair.

        Args:
            image: uint8 (3, H, W).
            labels: uint8 (H, W).

        Returns:
            The image, uint8 (3, h, w), and its labels, uint8 (h, w), where (h, w) is `crop`.

        Raises:
            ValueError: If image and labels differ in size.
        """
        check_pair(image, labels)
        low, high = self.scale
        scale = low + (high - low) * torch.rand(()).item()
        crop_height, crop_width = self.crop or (None, None)
        top, height, out_height = _draw_span(labels.shape[0], crop_height, scale)
        left, width, out_width = _draw_span(labels.shape[1], crop_width, scale)
        image = image[:, top : top + height, left : left + width]
        labels = labels[top : top + height, left : left + width]
        image, labels = _resize(image, labels, (out_height, out_width))
        if torch.rand(()).item() < self.flip:
            image, labels = image.flip(-1), labels.flip(-1)
        if self._jitter is not None:
            image = self._jitter(image)
        return pad_pair(image, labels, self.crop or (out_height, out_width))

    @cached_property
    def _jitter(self) -> v2.ColorJitter | None:
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        return v2.ColorJitter(*strengths) if any(strengths) else None


@dataclass(frozen=True)
class EvalTransform:
    """Resizing to a fixed size, or nothing at all.

    Args:
        size: Height and width of the output in pixels; None keeps the picture as it is.

    Raises:
        ValueError: If `size` is not positive.
    """

    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse an impossible size."""
        check_size("size", self.size)

    def __call__(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Transform one pair.

        Args:
            image: uint8 (3, H, W).
            labels: uint8 (H, W).

        Returns:
            The image, uint8 (3, h, w), and its labels, uint8 (h, w), where (h, w) is `size`.

        Raises:
            ValueError: If image and labels differ in size.
        """
        check_pair(image, labels)
        return (image, labels) if self.size is None else _resize(image, labels, self.size)


_HIGHEST = {"flip": 1, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}


def _draw_span(side: int, crop: int | None, scale: float) -> tuple[int, int, int]:
    """Choose which part of one side of the picture to take, and the length it is resized to.

    Returns:
        Start and length of the part in pixels of the picture, and the length afterwards.
    """
    scaled = max(round(side * scale), 1)
    if crop is None or scaled <= crop:
        return 0, side, scaled
    length = min(max(round(crop / scale), 1), side)
    start = int(torch.randint(side - length + 1, ()).item())
    return start, length, crop


def _resize(image: Tensor, labels: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    # Masks go as plain tensors: for tv_tensors.Mask, v2 takes NEAREST, which is half a pixel off
    # the grid of the bilinear image; NEAREST_EXACT lies on it.
    exact = v2.InterpolationMode.NEAREST_EXACT
    mask = functional.resize(labels[None], list(size), interpolation=exact)[0]
    # On contiguous uint8, PyTorch 2.15 fails to resize to 1 x 1; channels_last is also faster.
    image = image[None].contiguous(memory_format=torch.channels_last)[0]
    return functional.resize(image, list(size), antialias=True).contiguous(), mask


def pad_pair(image: Tensor, labels: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pad to (height, width) at the right and the bottom, see `TrainTransform`."""
    height, width = labels.shape
    if (height, width) == size:
        return image.contiguous(), labels.contiguous()
    color = PADDING_COLOR if len(image) == len(PADDING_COLOR) else (PADDING_LEVEL,) * len(image)
    padded = image.new_tensor(color)[:, None, None].repeat(1, *size)
    padded[:, :height, :width] = image
    padded_labels = labels.new_full(size, IGNORE_INDEX)
    padded_labels[:height, :width] = labels
    return padded, padded_labels


def check_size(name: str, size: tuple[int, int] | None) -> None:
    """Raise ValueError unless (height, width) is at least one pixel, or None."""
    if size is not None and min(size) < 1:
        raise ValueError(f"{name}={size}: take a height and a width of at least 1 pixel.")


def check_pair(image: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless both are uint8 and of one height and width."""
    if image.dtype != torch.uint8 or labels.dtype != torch.uint8:
        raise ValueError(f"the image is {image.dtype}, its labels are {labels.dtype}; give both as uint8.")
    if image.shape[-2:] != labels.shape:
        raise ValueError(
            f"the image is {tuple(image.shape[-2:])}, but its labels are {tuple(labels.shape)}; "
            "give both at the same height and width."
        )
