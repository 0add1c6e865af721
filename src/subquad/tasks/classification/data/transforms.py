"""From a picture of any size to what a network sees: at random while training, always alike in evaluation."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subquad.tasks.classification.data.options import PictureOptions

GREY = 128  # of what RandAugment turns or shifts into the picture
LONGEST_POLICY = 200

Transform = Callable[[Tensor], Tensor]


class EvalTransform:
    """Bring the shorter side to size / crop_ratio, and cut the middle out.

    Args:
        size: Height and width wanted.
        crop_ratio: In (0, 1].
        interpolation: "bicubic" or "bilinear".
    """

    def __init__(self, size: int, crop_ratio: float = 1.0, interpolation: str = "bicubic") -> None:
        self.size, self.shorter = size, max(size, math.floor(size / crop_ratio))
        self.interpolation = interpolation

    def __call__(self, image: Tensor) -> Tensor:
        """Map uint8 (channels, H, W) to uint8 (channels, size, size)."""
        from torchvision.transforms.v2 import functional as F

        image = fitted(image, self.shorter, self.interpolation)
        return F.center_crop(image, [self.size, self.size])


def fitted(image: Tensor, shorter: int, interpolation: str) -> Tensor:
    """Bring the shorter side of a picture to a number of pixels; one that has it stays as it is."""
    from torchvision.transforms.v2 import functional as F

    if min(image.shape[1:]) == shorter:
        return image
    return F.resize(image, [shorter], interpolation=_mode(interpolation), antialias=True)


def train_transform(options: PictureOptions, size: int, channels: int) -> Transform:
    """Return what a training picture goes through, by PyTorch's random numbers alone.

    Args:
        options: How pictures are presented.
        size: Height and width wanted.
        channels: Of the pictures.

    Raises:
        ValueError: If RandAugment's policy is unknown, or is to work on grey pictures.
    """
    from torchvision.transforms import v2

    how = options.interpolation or "bicubic"
    modes = ("bicubic", "bilinear") if how == "random" else (how,)
    if options.scale is not None:
        crops = [
            v2.RandomResizedCrop(size, options.scale, options.ratio, _mode(mode), antialias=True)
            for mode in modes
        ]
    else:
        padding = size // 8 if options.padding is None else options.padding
        crop = v2.RandomCrop(size, padding=padding)
        crops = [v2.Compose([_Fitted(size, mode), crop]) for mode in modes]
    steps: list[Any] = [crops[0] if len(crops) == 1 else v2.RandomChoice(crops)]
    if options.flip:
        steps.append(v2.RandomHorizontalFlip(options.flip))
    if options.rand_augment is not None:
        if channels != 3:
            raise ValueError(
                "--data.rand_augment changes colours, and the pictures are grey; leave it out, or give "
                "--data.channels 3."
            )
        steps.append(RandAugment(options.rand_augment, size))
    return v2.Compose(steps)


class RandAugment(torch.nn.Module):
    """timm's RandAugment, whose draws follow PyTorch's random numbers.

    Args:
        policy: In timm's words, such as "rand-m9-mstd0.5-inc1".
        size: Height and width of the pictures.

    Raises:
        ValueError: If timm does not understand the policy.
    """

    def __init__(self, policy: str, size: int) -> None:
        from timm.data.auto_augment import rand_augment_transform

        super().__init__()
        options = {"translate_const": int(0.45 * size), "img_mean": (GREY, GREY, GREY)}
        try:
            if not policy.startswith("rand") or len(policy) > LONGEST_POLICY:
                raise ValueError("it begins with rand")
            self.change = rand_augment_transform(policy, options)
        except (AssertionError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"--data.rand_augment {policy[:60]!r} is no policy of timm's ({error or 'unknown part'}); "
                f"give one such as rand-m9-mstd0.5-inc1."
            ) from error

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 (3, H, W) to the same."""
        from torchvision.transforms.v2 import functional as F

        # It draws from Python's and NumPy's generators, which are left as they were.
        seed, states = int(torch.randint(2**31, ())), (random.getstate(), np.random.get_state())
        random.seed(seed)
        np.random.seed(seed)
        try:
            return F.pil_to_tensor(self.change(F.to_pil_image(image)))
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


class _Fitted(torch.nn.Module):
    def __init__(self, shorter: int, interpolation: str) -> None:
        super().__init__()
        self.shorter, self.interpolation = shorter, interpolation

    def forward(self, image: Tensor) -> Tensor:
        return fitted(image, self.shorter, self.interpolation)


def _mode(name: str) -> Any:
    from torchvision.transforms.v2 import InterpolationMode

    return InterpolationMode.BILINEAR if name == "bilinear" else InterpolationMode.BICUBIC
