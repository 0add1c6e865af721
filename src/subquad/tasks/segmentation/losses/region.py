"""Losses that measure how well regions overlap: soft Dice and the Lovász-softmax."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.tasks.segmentation.losses.cross_entropy import at_least_float32


def soft_dice(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Return 1 - 2 sum(p y) / (sum(p) + sum(y)), over the batch, in the mean over classes.

    The mean is over the classes that are labelled in the batch. Another class has no region to
    overlap with: its score would be 0 whatever is predicted.

    Args:
        logits: (batch, classes, H, W).
        labels: Class indices (batch, H, W), any integer type.
        ignore_index: Label of pixels that are left out.

    Returns:
        A scalar in 0..1, in float32 or better; 0, with a gradient of 0, if no pixel is labelled.

    References:
        Milletari et al., "V-Net", 3DV 2016, section 3, with plain sums for those of squares.
    """
    probabilities, truth = labelled_pixels(logits, labels, ignore_index)
    if truth.numel() == 0:
        return probabilities.sum()
    size = truth.bincount(minlength=probabilities.shape[0])
    right = probabilities.gather(0, truth[None])[0]
    overlap = torch.zeros_like(probabilities[:, 0]).index_add(0, truth, right)
    score = 2 * overlap / (probabilities.sum(dim=1) + size).clamp(min=1e-12)
    return 1 - score[size > 0].mean()


def lovasz_softmax(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Return the Lovász extension of the Jaccard loss, in the mean over the labelled classes.

    For a class, the Jaccard loss of a set of mistaken pixels M is `|M| / |truth or M|`. Its Lovász
    extension takes the errors of all pixels, `|1 - p|` in the region of the class and p outside, in
    falling order, and weighs each with what its pixel adds to the Jaccard loss of those before it.
    At errors of 0 and 1 it is the Jaccard loss itself; in between it is convex in the errors.

    Args:
        logits: (batch, classes, H, W).
        labels: Class indices (batch, H, W), any integer type.
        ignore_index: Label of pixels that are left out.

    Returns:
        A scalar in 0..1, in float32 or better; 0, with a gradient of 0, if no pixel is labelled.

    References:
        Berman et al., "The Lovász-Softmax loss", CVPR 2018, sections 2 and 3.
    """
    probabilities, truth = labelled_pixels(logits, labels, ignore_index)
    if truth.numel() == 0:
        return probabilities.sum()
    losses = []
    for label in truth.unique().tolist():
        inside = truth == label
        errors = probabilities[label]
        losses.append(lovasz_jaccard(torch.where(inside, 1 - errors, errors), inside))
    return torch.stack(losses).mean()


def lovasz_jaccard(errors: Tensor, inside: Tensor) -> Tensor:
    """Return the Lovász extension of the Jaccard loss of one class.

    Args:
        errors: (pixels,), >= 0.
        inside: (pixels,), True where the pixel is of the class; somewhere at least.
    """
    falling, order = errors.sort(descending=True, stable=True)
    inside = inside[order]
    found = inside.cumsum(0)  # of the class, among the first k mistakes
    left = found[-1] - found
    union = found[-1] + (~inside).cumsum(0)
    # k / union minus the same of k - 1, with the subtraction done by hand: the two quotients of
    # a large image are equal in all but the last digits of float32.
    union = union.to(errors.dtype)
    added = torch.where(inside, 1 / union, left / (union * (union - 1)))
    return (falling * added).sum()  # pairwise, unlike the product of vectors


def labelled_pixels(logits: Tensor, labels: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return the probabilities (classes, pixels) and the classes (pixels,) of labelled pixels."""
    labelled = labels != ignore_index
    probabilities = at_least_float32(logits).softmax(dim=1).movedim(1, 0)
    return probabilities[:, labelled], labels[labelled].long()
