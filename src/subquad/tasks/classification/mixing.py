"""What keeps a classifier from learning its pictures by heart: erased parts, mixed pictures, soft classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class MixOptions:
    """What a training step does with its pictures and classes; the defaults do nothing.

    Attributes:
        label_smoothing: Share of each class that is spread over all of them, in [0, 1).
        mixup: Of the Beta distribution of the shares in which two pictures are mixed; 0 for none.
        cutmix: The same of the area that one picture gets from another; 0 for none. With both, one of the
            two is drawn for each step.
        probability: That a step mixes at all, if one of the two is above 0.
        erasing: Probability that a rectangle of a picture becomes noise.
    """

    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    probability: float = 1.0
    erasing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise ValueError(f"mix.{name} must be 0 or more, got {getattr(self, name)}.")
        for name in ("probability", "erasing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"mix.{name} must be in [0, 1], got {getattr(self, name)}.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"mix.label_smoothing must be in [0, 1), got {self.label_smoothing}.")


class Mixing:
    """Erase and mix batches as the options say, by PyTorch's random numbers.

    Args:
        options: What is done.
        num_classes: Of the data.
    """

    def __init__(self, options: MixOptions, num_classes: int) -> None:
        from torchvision.transforms import v2

        self.options, self.num_classes = options, num_classes
        self._erase = v2.RandomErasing(options.erasing, value="random") if options.erasing else None  # pyright: ignore[reportArgumentType]
        kinds = ((v2.MixUp, options.mixup), (v2.CutMix, options.cutmix))
        self._mixers = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in kinds if alpha]

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return pictures, and how much of each class is in them.

        Args:
            images: Normalised, (batch, channels, H, W).
            labels: int64 (batch,).

        Returns:
            Pictures of the same shape, and shares that sum to one, (batch, num_classes).
        """
        if self._erase is not None:
            images = torch.stack([self._erase(image) for image in images])
        if self._mixers and float(torch.rand(())) < self.options.probability:
            mixer = self._mixers[int(torch.randint(len(self._mixers), ()))]
            return mixer(images, labels)
        return images, F.one_hot(labels, self.num_classes).to(images.dtype)

    def loss(self, logits: Tensor, shares: Tensor) -> Tensor:
        """Return the cross-entropy with smoothed classes."""
        return F.cross_entropy(logits, shares, label_smoothing=self.options.label_smoothing)
