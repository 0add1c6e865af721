"""Random changes of colour as the published recipes make them.

References:
    Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016, section 2.2, from where segmentation
    took them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

BRIGHTNESS = 32.0
FACTOR = (0.5, 1.5)
HUE_STEPS, HUE_CIRCLE = 18, 180


@dataclass(frozen=True)
class PhotometricDistortion:
    """Brightness, contrast, saturation and hue, each changed with a probability of 0.5.

    Brightness adds -32 to 32; contrast multiplies by 0.5 to 1.5, either before saturation and hue
    or after them; saturation multiplies that of HSV by 0.5 to 1.5; hue turns by whole steps of two
    degrees, -18 to 17 of them. After each the image is 8-bit again. Between saturation and hue the
    originals round hue, saturation and value to 8 bits as well, which is left out here.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """Change the colours of an image, uint8 (3, H, W)."""
        if _coin():
            image = _linear(image, 1.0, _uniform(-BRIGHTNESS, BRIGHTNESS))
        contrast_first = _coin()
        if contrast_first:
            image = _contrast(image)
        if _coin():
            image = adjust_saturation(image, _uniform(*FACTOR))
        if _coin():
            image = adjust_hue(image, int(torch.randint(-HUE_STEPS, HUE_STEPS, ()).item()))
        return image if contrast_first else _contrast(image)


def adjust_saturation(image: Tensor, factor: float) -> Tensor:
    """Multiply the saturation of HSV, up to full saturation; hue and value stay.

    Saturation is how far the lowest channel lies below the highest, as a part of the highest. So the
    distance of every channel from the highest grows by the same factor, and no conversion is needed.

    Args:
        image: RGB, uint8 (3, H, W).
        factor: 0 or more.

    Returns:
        RGB, uint8 (3, H, W).
    """
    colors = image.float()
    lowest, highest = colors.aminmax(dim=0)
    limit = highest / (highest - lowest).clamp_min(1)  # the factor that brings the lowest channel to 0
    return (highest - (highest - colors) * limit.clamp(max=factor)).round().to(torch.uint8)


def adjust_hue(image: Tensor, steps: int) -> Tensor:
    """Turn the hue of HSV; saturation and value stay.

    Args:
        image: RGB, uint8 (3, H, W).
        steps: Of two degrees, as 8-bit HSV counts hue; -90 to 90.

    Returns:
        RGB, uint8 (3, H, W).
    """
    return (functional.adjust_hue(image.float() / 255, steps / HUE_CIRCLE) * 255).round().to(torch.uint8)


def _contrast(image: Tensor) -> Tensor:
    return _linear(image, _uniform(*FACTOR), 0.0) if _coin() else image


def _linear(image: Tensor, factor: float, shift: float) -> Tensor:
    return (image.float() * factor + shift).clamp(0, 255).to(torch.uint8)


def _coin() -> bool:
    return bool(torch.rand(()).item() < 0.5)


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * torch.rand(()).item()
