"""`subquad predict --fast`: bfloat16, where the machine gains by it and the classes stay."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subquad.base.limits import PICTURE_PIXELS
from subquad.bench import side_by_side
from subquad.data.pictures import read_image
from subquad.models import SegmentationNetwork, inference_report, optimize_for_inference
from subquad.ops.precision import why_not_bfloat16
from subquad.tasks.segmentation.commands.predict import find_images, listed
from subquad.tasks.segmentation.commands.predict_video import is_video
from subquad.tasks.segmentation.protocol import as_shown, protocol_for
from subquad.tasks.segmentation.protocol_options import resolve_protocol
from subquad.tasks.segmentation.video.clip import opened

LEAST_AGREEMENT = 0.999  # of the pixels of the first picture
LEAST_GAIN = 1.1  # times as fast, or it is not worth the digits
SIDE = 1024  # pixels, of the middle of the first picture that is looked at


def fast(network: SegmentationNetwork, options: Any) -> SegmentationNetwork:
    """Return what predicts faster, and say in one line what was done.

    Args:
        network: Of `for_inference`.
        options: Of the command; the first picture that can be read decides.
    """
    picture = _first(options, network.config.in_channels)
    if picture is None:
        chosen, told = network, "changes nothing, as no picture can be read"
    elif why := why_not_bfloat16(next(network.parameters()).device.type):
        chosen, told = network, f"stays in float32: for bfloat16, {why}"
    else:
        protocol = protocol_for(network.config, resolve_protocol(options.protocol))
        with torch.inference_mode():
            chosen, told = in_half(network, _middle(as_shown(network, picture[None], protocol)))
    sys.stderr.write(f"note: --fast {told}.\n")
    return chosen


def in_half(network: SegmentationNetwork, shown: Tensor) -> tuple[SegmentationNetwork, str]:
    """Return the network in bfloat16 if it is faster and agrees, else as it is; and what was found.

    Args:
        network: Of `for_inference`.
        shown: A picture as the network sees it, (1, in_channels, h, w) on its device.
    """
    half = optimize_for_inference(network, shown, dtype="bfloat16")
    if refused := inference_report(half).refused:
        return network, f"stays in float32: {refused[-1]}"
    agreement = float((network.class_map(shown) == half.class_map(shown)).double().mean())
    ways = {"float32": lambda: network.class_map(shown), "bfloat16": lambda: half.class_map(shown)}
    times = side_by_side(ways, repeats=3, device=shown.device)
    gain = times["float32"].p50 / times["bfloat16"].p50
    found = (
        f"bfloat16 is {gain:.2f} times as fast on the first picture, and {100 * agreement:.2f} % of its "
        "pixels are of the same class"
    )
    if agreement < LEAST_AGREEMENT:
        return network, f"stays in float32: {found}, less than {100 * LEAST_AGREEMENT:.1f} %"
    if gain < LEAST_GAIN:
        return network, f"stays in float32: {found}"
    return half, f"computes in bfloat16: {found}"


def _first(options: Any, bands: int) -> Tensor | None:
    """Return the first picture that can be read, or the first frame, uint8 (channels, H, W); or None."""
    most = PICTURE_PIXELS if options.max_pixels is None else options.max_pixels
    source = Path(options.images)
    if is_video(options.images):
        with suppress(OSError, ValueError), opened(source, most) as clip:
            return torch.from_numpy(next(clip.frames()).pixels).movedim(2, 0)
        return None
    images = find_images(source)
    for image in listed(images, Path(options.list), options.images) if options.list else images:
        with suppress(OSError, ValueError):  # which the prediction tells in its own words
            return read_image(image, most, bands)
    return None


def _middle(shown: Tensor) -> Tensor:
    top, left = (max(side - SIDE, 0) // 2 for side in shown.shape[2:])
    return shown[:, :, top : top + SIDE, left : left + SIDE]
