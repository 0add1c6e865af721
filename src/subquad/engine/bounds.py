"""What no value of an option may exceed, looked at before anything is made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from subquad.base.limits import (
    LARGEST_NUMBER,
    LARGEST_WHOLE_NUMBER,
    LARGEST_ZOOM,
    LONGEST_CROP_SIDE,
    LONGEST_PICTURE_SIDE,
    MOST_BATCH,
    MOST_IMAGES,
    MOST_POSITIONS,
    MOST_PROCESSES,
)

DEVICES = ("cpu", "cuda", "mps", "xpu")
# The least is told by whom the option is for, in words that fit.
MOST = {
    "batch": MOST_BATCH,
    "batch_size": MOST_BATCH,
    "data.batch_size": MOST_BATCH,
    "data.eval_batch_size": MOST_BATCH,
    "data.workers": MOST_PROCESSES,
    "trainer.devices": MOST_PROCESSES,
    "trainer.num_nodes": MOST_PROCESSES,
    "data.size": LONGEST_CROP_SIDE,
    "data.crop": LONGEST_CROP_SIDE,
    "data.resize": LONGEST_PICTURE_SIDE,
    "data.eval_size": LONGEST_CROP_SIDE,
    "data.scale": LARGEST_ZOOM,
    "data.scales": LARGEST_ZOOM,
    "data.length": MOST_POSITIONS,
    "data.context": MOST_POSITIONS,
    "data.stride": MOST_POSITIONS,
    "data.vocab_size": MOST_BATCH,
    "data.samples": MOST_POSITIONS,
    "data.eval_samples": MOST_POSITIONS,
    "data.num_classes": MOST_BATCH,
    "data.bands": MOST_PROCESSES,
    "num_classes": MOST_BATCH,
    "tile": LONGEST_PICTURE_SIDE,
    "size": MOST_POSITIONS,
    "length": MOST_POSITIONS,
    "tokens": MOST_POSITIONS,
    "dim": LONGEST_CROP_SIDE,
    "links": LONGEST_CROP_SIDE,
    "width": LONGEST_CROP_SIDE,
    "smallest": math.log2(MOST_POSITIONS),
    "largest": math.log2(MOST_POSITIONS),
    "shortest": math.log2(MOST_POSITIONS),
    "longest": math.log2(MOST_POSITIONS),
    "sequence_dim": LONGEST_CROP_SIDE,
    "positions": MOST_POSITIONS,
    "height": LONGEST_CROP_SIDE,
    "rank": LONGEST_CROP_SIDE,
    "count": MOST_IMAGES,
    "samples": MOST_IMAGES,
    "report_samples": MOST_IMAGES,
    "interpolate": MOST_PROCESSES,
}
LEAST = {
    "data.bands": 1,
    "data.size": 1,
    "data.eval_size": 1,
    "data.max_pixels": 1,
    "max_pixels": 1,
    "report_samples": 0,
}


def check_values(options: Any) -> None:
    """Raise ValueError for numbers that are none or are absurd, and for devices that cannot compute.

    Args:
        options: Those of a command, by name.
    """
    for name, value, whole in _numbers(options):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"--{name} must be a finite number, got {whole}.")
        if isinstance(value, int) and abs(value) > LARGEST_WHOLE_NUMBER:
            raise ValueError(f"--{name} is a number beyond 64 bits: {value:.3g}; give a smaller one.")
        if abs(value) > LARGEST_NUMBER:
            raise ValueError(f"--{name} is a number beyond float32: {value:.3g}; give a smaller one.")
        if value > MOST.get(name, math.inf):
            raise ValueError(f"--{name} may be {MOST[name]:,.0f} at most, got {whole}.")
        if value < LEAST.get(name, -math.inf):
            raise ValueError(f"--{name} must be at least {LEAST[name]}, got {whole}.")
    if options.get("device") is not None:
        check_device(options.device)


def check_device(name: str) -> None:
    """Raise ValueError unless a device is there, and computes; "meta" does not.

    Args:
        name: As PyTorch has it, such as "cuda:1".
    """
    import torch

    try:
        kind = torch.device(name).type
        if kind in DEVICES:
            torch.zeros(1, device=name).sum()
            return
        reason = f"it is none of {', '.join(DEVICES)}."
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
    raise ValueError(f'--device {name} cannot be used here: {reason} Use "cpu".')


def _numbers(options: Any) -> Iterator[tuple[str, int | float, Any]]:
    """Yield each number among the options, with the name of its option and the whole value of that."""
    for name, value in options.items():
        for entry in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(entry, (int, float)):
                yield name, entry, value
