"""Cross-entropy of logits that are resized to the image strip by strip, and never stored as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.models.segmentation.coarse import CoarseLogits
from subquad.tasks.segmentation.losses.cross_entropy import (
    Normalize,
    at_least_float32,
    divisor,
    pixel_weights,
)

# Bytes of the resized logits of a strip. On a CPU they stay in a cache between one operation and the next;
# elsewhere an operation has to be long enough to be worth its start.
CPU_STRIP, STRIP = 2 << 20, 64 << 20


def coarse_cross_entropy(
    coarse: CoarseLogits,
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    ignore_index: int = 255,
    normalize: Normalize = "labelled",
) -> Tensor:
    """Return `pixel_cross_entropy` of the resized logits, to rounding.

    Its gradient is found in the same pass, strip by strip, and brought back to the stride of the logits at
    once: memory of (classes, H, W) is never asked for. Second derivatives are right, and take it.

    Args:
        coarse: Logits of images (batch, channels, H, W).
        labels: Class indices (batch, H, W), any integer type.
        class_weights: (classes,); the mean over labelled pixels is then weighted.
        ignore_index: Label of pixels that are left out.
        normalize: As of `pixel_cross_entropy`.

    Returns:
        A scalar in float32 or better; 0, with a gradient of 0, if no pixel is labelled.

    Raises:
        ValueError: If the labels are not of the images' size.
    """
    labels = labels.long()
    weights = pixel_weights(labels, class_weights, ignore_index, at_least_float32(coarse.logits).dtype)
    classes = _classes(coarse, labels, ignore_index)
    wants_gradient = torch.is_grad_enabled() and coarse.logits.requires_grad
    how = _Resize(coarse.padded, coarse.align_corners)
    total: Any = _WeightedSum.apply(coarse.logits, classes, weights, how, wants_gradient)
    return total / divisor(labels, weights, normalize)


@torch.no_grad()
def coarse_hardness(coarse: CoarseLogits, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Return the cross-entropy of each pixel, (batch, H, W); 0 where it is ignored.

    Args:
        coarse: Logits of images (batch, channels, H, W).
        labels: Class indices (batch, H, W), any integer type.
        ignore_index: Label of pixels that are left out.

    Raises:
        ValueError: If the labels are not of the images' size.
    """
    labels = labels.long()
    how = _Resize(coarse.padded, coarse.align_corners)
    losses = _pixel_losses(coarse.logits, _classes(coarse, labels, ignore_index), how)
    return losses.where(labels != ignore_index, 0)


class _Resize(NamedTuple):
    """How logits become those of the padded images."""

    size: tuple[int, int]
    align_corners: bool

    def __call__(self, logits: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        return F.interpolate(
            logits, size=size or self.size, mode="bilinear", align_corners=self.align_corners
        )

    def rows(self, like: Tensor, height: int) -> Tensor:
        """Return what the rows of images are of those of logits (batch, channels, h, w): (height, h)."""
        old, (new, _) = like.shape[2], self.size
        each = torch.eye(old, dtype=at_least_float32(like).dtype, device=like.device)
        return self(each[None, None], (new, old))[0, 0, :height]


class _WeightedSum(torch.autograd.Function):
    """The sum of the pixels' cross-entropies, each times its weight."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, classes: Tensor, weights: Tensor, how: _Resize, wants_gradient: bool
    ) -> Tensor:
        gradient = None
        if wants_gradient:
            batch, channels, height, width = logits.shape
            gradient = weights.new_empty(batch, height, width, channels)
        losses = _pixel_losses(logits, classes, how, weights, gradient)
        ctx.how = how
        ctx.save_for_backward(logits, classes, weights, gradient)
        return (losses * weights).where(weights != 0, 0).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        logits, classes, weights, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # whoever differentiates twice needs a graph of the first time
            height, width = classes.shape[1:]
            resized = at_least_float32(ctx.how(logits))[:, :, :height, :width]
            losses = F.cross_entropy(resized, classes, reduction="none")
            (found,) = torch.autograd.grad((losses * weights).sum(), logits, create_graph=True)
        else:
            found = gradient.movedim(3, 1)
        return (grads[0] * found).to(logits.dtype), None, None, None, None


def _pixel_losses(
    logits: Tensor,
    classes: Tensor,
    how: _Resize,
    weights: Tensor | None = None,
    gradient: Tensor | None = None,
) -> Tensor:
    """Return the cross-entropy of each pixel, (batch, H, W).

    Args:
        logits: (batch, classes, h, w).
        classes: Of the pixels, (batch, H, W).
        how: Logits are resized; what they are larger than the classes is cut off.
        weights: Of the pixels in the sum that is differentiated.
        gradient: Of that sum by the logits, (batch, h, w, classes), is written here.
    """
    losses = torch.empty(classes.shape, dtype=at_least_float32(logits).dtype, device=logits.device)
    height, width = classes.shape[1:]
    with torch.autocast(logits.device.type, enabled=False):
        rows = how.rows(logits, height)
        for image, pixels in enumerate(at_least_float32(logits.detach()).movedim(1, 3)):
            tall = (rows @ pixels.flatten(1)).view(height, *pixels.shape[1:])  # (H, w, classes)
            slopes = torch.empty_like(tall) if gradient is not None else None
            for strip in _strips(tall, how.size[1]):
                narrow = tall[strip].movedim(2, 1)[:, :, None]  # (rows, classes, 1, w): columns are left
                with torch.set_grad_enabled(slopes is not None):
                    narrow.requires_grad_(slopes is not None)
                    wide = how(narrow, (1, how.size[1]))
                scores = wide.detach()[..., 0, :width].movedim(1, 2)  # (rows, W, classes)
                truth = classes[image, strip, :, None]
                losses[image, strip], shares = _cross_entropy(scores, truth)
                if slopes is not None and weights is not None:
                    weight = weights[image, strip, :, None]
                    scores.mul_(weight * shares).scatter_add_(2, truth, -weight)
                    wide.detach()[..., width:] = 0
                    (slope,) = torch.autograd.grad(wide, narrow, wide.detach())
                    slopes[strip] = slope[:, :, 0].movedim(1, 2)
            if gradient is not None and slopes is not None:
                gradient[image] = (rows.t() @ slopes.flatten(1)).view_as(pixels)
    return losses


def _cross_entropy(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of pixels, and what makes probabilities of the scores that are left behind.

    By hand, and in place: a softmax of a few classes that lie side by side takes PyTorch three times as long,
    and is no help to the gradient where its logarithm is asked for.

    Args:
        scores: (rows, W, classes); overwritten.
        truth: Classes, (rows, W, 1).
    """
    scores.sub_(scores.amax(dim=2, keepdim=True))
    right = scores.gather(2, truth)
    total = scores.exp_().sum(dim=2, keepdim=True)
    return (total.log() - right)[..., 0], total.reciprocal()


def _strips(tall: Tensor, width: int) -> Iterator[slice]:
    """Yield the strips of an image of a width whose logits are (H, w, classes), from top to bottom."""
    height, _, classes = tall.shape
    size = CPU_STRIP if tall.device.type == "cpu" else STRIP
    rows = max(1, size // (width * classes * tall.element_size()))
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))


def _classes(coarse: CoarseLogits, labels: Tensor, ignore_index: int) -> Tensor:
    """Return the labels, and some class for those that are ignored."""
    batch = len(coarse.logits)
    if labels.shape != (batch, *coarse.size):
        shape = (batch, *coarse.size)
        raise ValueError(f"labels {tuple(labels.shape)} are not of the images' shape {shape}.")
    return labels.where(labels != ignore_index, 0)
