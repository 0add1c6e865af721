"""Evaluation protocols: how an image becomes views, and how the views' logits become one answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.base.suggest import did_you_mean
from subquad.engine.preprocess import preprocess
from subquad.models import SegmentationConfig, SegmentationNetwork
from subquad.nn.mode import evaluating

Merge = Literal["logits", "probabilities"]
Size = tuple[int, int]

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # of every published multi-scale number


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol:
    """How an image is presented to a network, and its views are merged.

    Each view is the normalised image, resized, flipped and padded in this order; the logits of a
    view are cropped, resized to the image, flipped back and merged. All resizing is bilinear,
    without smoothing, and aligned as the network aligns its own maps.

    Attributes:
        resize: Long and short side of a box that the resized image fits, its proportions kept; not
            given: as the image is. Both are multiplied by the scale.
        multiple: Then resize each side up to a multiple of this; 1 for any size.
        pad_to: Pad right and bottom with the mean colour until each side is 1 more than a multiple
            of this; 0 pads nothing.
        window: Height and width of a sliding window; the whole view if not given.
        stride: Vertical and horizontal step of the window; the window itself if not given.
        scales: Factors of the image's size; several are a multi-scale evaluation.
        flip: Also show each scale flipped left to right.
        merge: "logits" sums the views' logits (PASCAL VOC), "probabilities" averages their softmax
            (mmsegmentation). For one view the answer is the same.
    """

    resize: Size | None = None
    multiple: int = 1
    pad_to: int = 0
    window: Size | None = None
    stride: Size | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    merge: Merge = "logits"

    def __post_init__(self) -> None:
        for name in ("resize", "window", "stride"):
            sides = getattr(self, name)
            if sides is not None and (len(sides) != 2 or min(sides) < 1):
                raise ValueError(f"{name} must be two sides of at least one pixel, got {sides}.")
        if self.multiple < 1:
            raise ValueError(f"multiple must be at least 1 (1 resizes nothing), got {self.multiple}.")
        if self.pad_to < 0:
            raise ValueError(f"pad_to must be at least 0 (0 pads nothing), got {self.pad_to}.")
        if self.stride is not None:
            if self.window is None:
                raise ValueError(f"the stride {self.stride} needs a window; give its height and width.")
            if any(step > side for step, side in zip(self.stride, self.window, strict=True)):
                raise ValueError(
                    f"the stride {self.stride} is larger than the window {self.window} and would leave "
                    "pixels out; lower it."
                )
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales must be positive factors, at least one, got {self.scales}.")
        if self.merge not in get_args(Merge):
            raise ValueError(f"merge must be one of {', '.join(get_args(Merge))}, got {self.merge!r}.")


_ADE20K = EvaluationProtocol(resize=(2048, 512), merge="probabilities")
_ALIGNED = replace(_ADE20K, multiple=32)
_CITYSCAPES = EvaluationProtocol(
    resize=(2048, 1024), window=(1024, 1024), stride=(768, 768), merge="probabilities"
)
_VOC = EvaluationProtocol(pad_to=8)

PROTOCOLS: dict[str, EvaluationProtocol] = {
    "whole": EvaluationProtocol(),
    # Of HamNet and HamNet+ on ADE20K.
    "ade20k_single_scale": _ADE20K,
    "ade20k_multi_scale": replace(_ADE20K, scales=RATIOS, flip=True),
    # Of Light-Ham, and of SegNeXt on ADE20K and COCO-Stuff.
    "light_ham_single_scale": _ALIGNED,
    "light_ham_multi_scale": replace(_ALIGNED, scales=RATIOS, flip=True),
    "cityscapes_slide": _CITYSCAPES,
    "cityscapes_multi_scale": replace(_CITYSCAPES, scales=RATIOS, flip=True),
    "voc_val": _VOC,
    "voc_test": replace(_VOC, scales=RATIOS, flip=True),
}


def protocol_from(name: str) -> EvaluationProtocol:
    """Return a published protocol.

    Args:
        name: A key of `PROTOCOLS`.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f"unknown protocol {name!r}.{did_you_mean(name, PROTOCOLS)} There are {', '.join(PROTOCOLS)}."
        )
    return PROTOCOLS[name]


@torch.inference_mode()
def predict_scores(network: SegmentationNetwork, images: Tensor, protocol: EvaluationProtocol) -> Tensor:
    """Return scores of each class at each pixel; the largest is the answer.

    One view after the other is added to a running sum: the memory does not grow with their number.

    Args:
        network: A segmentation network of `create_model`; used in evaluation mode.
        images: uint8 (batch, in_channels, H, W), any H and W, on any device.
        protocol: Such as `PROTOCOLS["voc_val"]`.

    Returns:
        float32 (batch, classes, H, W) on the network's device: summed logits, or mean
        probabilities, as `protocol.merge` says.

    Raises:
        ValueError: If the images are not uint8 or not of that shape.
    """
    config = network.config
    x = preprocess(images.to(next(network.parameters()).device), config)
    directions = (False, True) if protocol.flip else (False,)
    views = [(scale, flip) for scale in protocol.scales for flip in directions]
    total: Tensor | None = None
    with evaluating(network):
        for scale, flip in views:
            scores = _view(network, x, protocol, scale, flip, config.align_corners)
            if protocol.merge == "probabilities":
                scores = scores.softmax(dim=1)
            total = scores if total is None else total.add_(scores)
            del scores  # makes room for the next view
    assert total is not None
    return total / len(views) if protocol.merge == "probabilities" else total


def protocol_for(
    config: SegmentationConfig, protocol: EvaluationProtocol | None = None
) -> EvaluationProtocol:
    """Return how a network is shown pictures: by the protocol that is asked for, else as it was trained.

    Args:
        config: Of the network; its `resize` counts where nothing else is asked for.
        protocol: That is asked for; None, or one that shows pictures once as they are, asks for nothing.
    """
    plain = EvaluationProtocol()
    return replace(plain, resize=config.resize) if protocol in (None, plain) else protocol


def view_size(image: Size, protocol: EvaluationProtocol, scale: float = 1.0) -> Size:
    """Return the height and width that an image has before padding.

    Args:
        image: Its height and width.
        protocol: `resize` and `multiple` are used.
        scale: One of its scales.

    References:
        The keep-ratio rule of mmsegmentation: the largest factor at which the long side fits the
        box's long side and the short side its short one, rounded half up.
    """
    if protocol.resize is None:
        size = [int(scale * side) for side in image]
    else:
        box = [int(scale * side) for side in protocol.resize]
        factor = min(max(box) / max(image), min(box) / min(image))
        size = [int(side * factor + 0.5) for side in image]
    height, width = (-(-max(side, 1) // protocol.multiple) * protocol.multiple for side in size)
    return height, width


def as_shown(network: SegmentationNetwork, images: Tensor, protocol: EvaluationProtocol) -> Tensor:
    """Return what a network is shown of images: normalised and resized, before anything is padded.

    Args:
        network: Tells the normalisation, and how its maps are aligned.
        images: uint8 (batch, in_channels, H, W), any H and W, on any device.
        protocol: Of `protocol_for`; of several scales, the images as they are at scale 1.

    Returns:
        (batch, in_channels, h, w) on the network's device.
    """
    x = preprocess(images.to(next(network.parameters()).device), network.config)
    return _at_scale(x, protocol, 1.0, network.config.align_corners)


def padded(view: Tensor, protocol: EvaluationProtocol) -> Tensor:
    """Return a view with the mean colour at its right and its bottom, as a protocol says."""
    if not protocol.pad_to:
        return view
    right, bottom = ((1 - side) % protocol.pad_to for side in (view.shape[3], view.shape[2]))
    return F.pad(view, (0, right, 0, bottom))  # zero is the mean colour


def windows(view: Size, window: Size, stride: Size) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of each window: they cover the view, the last shifted back to fit.

    Args:
        view: Height and width to cover.
        window: Height and width; more than the view's are the view's.
        stride: Between two windows, at most the window.
    """
    for top in _starts(view[0], window[0], stride[0]):
        for left in _starts(view[1], window[1], stride[1]):
            yield slice(top, min(top + window[0], view[0])), slice(left, min(left + window[1], view[1]))


def _starts(length: int, window: int, stride: int) -> list[int]:
    last = max(length - window, 0)
    return [*range(0, last, stride), last]


def _view(
    network: nn.Module, x: Tensor, protocol: EvaluationProtocol, scale: float, flip: bool, align_corners: bool
) -> Tensor:
    """Return the logits of one view, at the size and in the direction of `x`."""
    size = (int(x.shape[2]), int(x.shape[3]))
    view = _at_scale(x, protocol, scale, align_corners)
    height, width = int(view.shape[2]), int(view.shape[3])
    if flip:
        view = view.flip(-1)
    logits = _logits(network, padded(view, protocol), protocol)[:, :, :height, :width]
    logits = _resized(logits, size, align_corners)
    return logits.flip(-1) if flip else logits


def _at_scale(x: Tensor, protocol: EvaluationProtocol, scale: float, align_corners: bool) -> Tensor:
    """Return normalised images at the size that a view has before padding."""
    size = (int(x.shape[2]), int(x.shape[3]))
    # Two resizes in a row, as the originals: keep the ratio, then up to a multiple.
    view = _resized(x, view_size(size, replace(protocol, multiple=1), scale), align_corners)
    return _resized(view, view_size(size, protocol, scale), align_corners)


def _logits(network: nn.Module, view: Tensor, protocol: EvaluationProtocol) -> Tensor:
    """Return the logits of a view, of all of it at once or the mean of windows."""
    if protocol.window is None:
        return network(view).float()
    stride = protocol.stride or protocol.window
    height, width = int(view.shape[2]), int(view.shape[3])
    counts = view.new_zeros(height, width)
    total: Tensor | None = None
    for rows, columns in windows((height, width), protocol.window, stride):
        logits: Tensor = network(view[:, :, rows, columns]).float()
        total = logits.new_zeros(*logits.shape[:2], height, width) if total is None else total
        total[:, :, rows, columns] += logits
        counts[rows, columns] += 1
    assert total is not None
    return total.div_(counts)


def _resized(x: Tensor, size: Size, align_corners: bool) -> Tensor:
    if (x.shape[2], x.shape[3]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
