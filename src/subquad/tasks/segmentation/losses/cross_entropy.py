"""Cross-entropy of pixels: over all that are labelled, or over the hard ones among them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Normalize = Literal["labelled", "all"]


def pixel_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    ignore_index: int = 255,
    normalize: Normalize = "labelled",
) -> Tensor:
    """Return the mean cross-entropy of the labelled pixels.

    Args:
        logits: (batch, classes, H, W).
        labels: Class indices (batch, H, W), any integer type.
        class_weights: (classes,); the mean over labelled pixels is then weighted.
        ignore_index: Label of pixels that are left out.
        normalize: What the sum is divided by: the (weights of) "labelled" pixels, or the number of
            "all" pixels, ignored ones too, as the original code does.

    Returns:
        A scalar in float32 or better; 0, with a gradient of 0, if no pixel is labelled.
    """
    logits, labels = at_least_float32(logits), labels.long()
    if class_weights is not None:
        class_weights = class_weights.to(logits.dtype)
    total = F.cross_entropy(logits, labels, weight=class_weights, ignore_index=ignore_index, reduction="sum")
    return total / divisor(
        labels, pixel_weights(labels, class_weights, ignore_index, logits.dtype), normalize
    )


def pixel_weights(
    labels: Tensor, class_weights: Tensor | None, ignore_index: int, dtype: torch.dtype
) -> Tensor:
    """Return what each pixel counts in a cross-entropy, (batch, H, W): 0 if it is ignored.

    Args:
        labels: Class indices (batch, H, W), int64.
        class_weights: (classes,); 1 each if not given.
        ignore_index: Label of pixels that are left out.
        dtype: Of the weights.
    """
    labelled = labels != ignore_index
    if class_weights is None:
        return labelled.to(dtype)
    # ignore_index is no class: look up class 0 there, and count it with weight 0.
    return class_weights.to(dtype)[labels.where(labelled, 0)] * labelled


def divisor(labels: Tensor, weights: Tensor, normalize: Normalize) -> Tensor | int:
    """Return what the sum of cross-entropies is divided by.

    Args:
        labels: Class indices (batch, H, W).
        weights: Of `pixel_weights`.
        normalize: As of `pixel_cross_entropy`.
    """
    return labels.numel() if normalize == "all" else weights.sum().clamp(min=1e-12)


@torch.no_grad()
def hardest_pixels(
    logits: Tensor, labels: Tensor, *, threshold: float, kept: int, ignore_index: int = 255
) -> Tensor:
    """Return the labels with all pixels ignored but the hard ones (online hard example mining).

    A pixel is hard if the probability of its true class is below the threshold. If there are fewer
    such pixels than are to be kept, the hardest of the others join them.

    Args:
        logits: (batch, classes, H, W).
        labels: Class indices (batch, H, W), any integer type.
        threshold: A probability.
        kept: Least number of pixels that stay, over the whole batch; ties may keep more.
        ignore_index: Label of pixels that are left out.

    Returns:
        (batch, H, W), int64.

    References:
        Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", CVPR 2016; for pixels: Wu et al., "High-performance Semantic Segmentation Using
        Very Deep Fully Convolutional Networks", 2016, section 3.
    """
    labels = labels.long()
    hardness = F.cross_entropy(at_least_float32(logits), labels, ignore_index=ignore_index, reduction="none")
    return hard_labels(hardness, labels, threshold=threshold, kept=kept, ignore_index=ignore_index)


def hard_labels(
    hardness: Tensor, labels: Tensor, *, threshold: float, kept: int, ignore_index: int = 255
) -> Tensor:
    """Return the labels with all pixels ignored but the hard ones, as `hardest_pixels`.

    Args:
        hardness: Cross-entropy of each pixel, (batch, H, W): minus the logarithm of the probability of its
            class. Ignored pixels have 0, the easiest there is.
        labels: Class indices (batch, H, W), int64.
        threshold: A probability.
        kept: Least number of pixels that stay, over the whole batch; ties may keep more.
        ignore_index: Label of pixels that are left out.
    """
    labelled = labels != ignore_index
    probability = hardness.neg().exp()
    limit = probability.new_tensor(threshold)
    kept = min(kept, int(labelled.sum()))
    if kept > 0:
        last = probability[labelled].kthvalue(kept).values
        limit = torch.maximum(limit, last.nextafter(last.new_tensor(torch.inf)))
    return labels.where(labelled & (probability < limit), ignore_index)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return the tensor in float32, or as it is if that is finer."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
