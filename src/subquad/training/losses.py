"""Losses of segmentation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pixel_cross_entropy(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None, ignore_index: int = 255
) -> Tensor:
    """Return the mean cross-entropy of the labelled pixels, in float32.

    Args:
        logits: (batch, classes, H, W).
        labels: Class indices (batch, H, W), any integer type.
        class_weights: (classes,); the mean is then weighted.
        ignore_index: Label of pixels that are left out.

    Returns:
        A scalar; 0, with a gradient of 0, if no pixel is labelled.
    """
    labels = labels.long()
    total = F.cross_entropy(
        logits.float(), labels, weight=class_weights, ignore_index=ignore_index, reduction="sum"
    )
    labelled = labels != ignore_index
    if class_weights is None:
        weight = labelled.sum()
    else:
        # ignore_index is no class: look up class 0 there, and count it with weight 0.
        weight = (class_weights[labels.where(labelled, 0)] * labelled).sum()
    return total / torch.clamp(weight, min=1e-12)
