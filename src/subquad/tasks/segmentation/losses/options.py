"""Which losses are added up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from subquad.models.segmentation.coarse import CoarseLogits
from subquad.ops.transforms import is_transformed
from subquad.tasks.segmentation.losses.cross_entropy import (
    Normalize,
    hard_labels,
    hardest_pixels,
    pixel_cross_entropy,
)
from subquad.tasks.segmentation.losses.region import lovasz_softmax, soft_dice
from subquad.tasks.segmentation.losses.strips import coarse_cross_entropy, coarse_hardness


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """A weighted sum of losses; the defaults are plain cross-entropy.

    Attributes:
        cross_entropy: Weight of the cross-entropy, >= 0.
        dice: Weight of soft Dice, >= 0.
        lovasz: Weight of the Lovász-softmax, >= 0.
        normalize: Divide the cross-entropy by the "labelled" pixels or, as the originals, by "all".
        ohem_threshold: Take the cross-entropy of hard pixels only: those whose true class has a
            probability below this, in (0, 1]; all pixels if not given.
        ohem_kept: Keep at least so many pixels for each image, the hardest of the whole batch.
    """

    cross_entropy: float = 1.0
    dice: float = 0.0
    lovasz: float = 0.0
    normalize: Normalize = "labelled"
    ohem_threshold: float | None = None
    ohem_kept: int = 100_000

    def __post_init__(self) -> None:
        terms = ("cross_entropy", "dice", "lovasz")
        for name in terms:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"loss.{name} must be 0 or more, got {getattr(self, name)}.")
        if not any(getattr(self, name) for name in terms):
            raise ValueError(f"one of {', '.join(f'loss.{name}' for name in terms)} must be above 0.")
        if self.normalize not in get_args(Normalize):
            raise ValueError(f"loss.normalize must be one of {get_args(Normalize)}, got {self.normalize!r}.")
        if self.ohem_threshold is not None and not 0 < self.ohem_threshold <= 1:
            raise ValueError(f"loss.ohem_threshold must be in (0, 1], got {self.ohem_threshold}.")
        if self.ohem_kept < 0:
            raise ValueError(f"loss.ohem_kept must be 0 or more, got {self.ohem_kept}.")

    def evaluate(self, logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """Return the sum of the losses.

        Args:
            logits: (batch, classes, H, W).
            labels: Class indices (batch, H, W); 255 is ignored.
            class_weights: (classes,), of the cross-entropy.
        """
        terms: list[Tensor] = []
        if self.cross_entropy:
            counted = labels
            if self.ohem_threshold is not None:
                kept = self.ohem_kept * len(labels)
                counted = hardest_pixels(logits, labels, threshold=self.ohem_threshold, kept=kept)
            loss = pixel_cross_entropy(logits, counted, class_weights=class_weights, normalize=self.normalize)
            terms.append(self.cross_entropy * loss)
        if self.dice:
            terms.append(self.dice * soft_dice(logits, labels))
        if self.lovasz:
            terms.append(self.lovasz * lovasz_softmax(logits, labels))
        return sum(terms[1:], terms[0])

    def evaluate_coarse(
        self, coarse: CoarseLogits, labels: Tensor, class_weights: Tensor | None = None
    ) -> Tensor:
        """Return what `evaluate` says of the resized logits, without resizing all of them at once.

        Dice and Lovász need the probabilities of all pixels together, a compiler fuses better than this, and
        the transforms of `torch.func` want every operation: for them the logits are resized as a whole.

        Args:
            coarse: Logits of images (batch, channels, H, W).
            labels: Class indices (batch, H, W); 255 is ignored.
            class_weights: (classes,), of the cross-entropy.
        """
        if self.dice or self.lovasz or torch.compiler.is_compiling() or is_transformed(coarse.logits):
            return self.evaluate(coarse.resized(), labels, class_weights)
        if self.ohem_threshold is not None:
            kept = self.ohem_kept * len(labels)
            hardness = coarse_hardness(coarse, labels)
            labels = hard_labels(hardness, labels.long(), threshold=self.ohem_threshold, kept=kept)
        return self.cross_entropy * coarse_cross_entropy(
            coarse, labels, class_weights=class_weights, normalize=self.normalize
        )
