"""From coarse logits to the class of each pixel, without the logits of the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subquad.models.segmentation.cell_map import class_map_by_cells
from subquad.models.segmentation.class_blocks import class_blocks, classes_of, index_type, running_maximum
from subquad.models.segmentation.coarse import CoarseLogits
from subquad.models.segmentation.exact_parts import class_map_by_strips, whole_ratios

# What is faster when; measured on two cores at 256 x 256 to 1024 x 2048 with 2 to 300 classes.
MANY = 48  # classes from which on it pays to look where they meet
LITTLE = 2**20  # logits that are resized before one has looked
# More of fewer classes are faster in parts: memory of 32 MiB and above is handed out page by page each time.
AT_ONCE = 7 * 2**20


@torch.no_grad()
def class_map(coarse: CoarseLogits) -> Tensor:
    """Return the class with the largest logit at each pixel, exactly `coarse.resized().argmax(1)`.

    Of several equal ones the first counts, and NaN counts as the largest. On a CPU, many classes in float32
    are interpolated only where they meet; else the image is resized in strips, or some classes at a time.

    Args:
        coarse: Of `SegmentationNetwork.coarse`.

    Returns:
        (batch, H, W), uint8, or int64 if there are more than 255 classes.
    """
    # Elsewhere resizing is no bottleneck, and its kernels are others.
    if coarse.logits.device.type != "cpu" or not len(coarse.logits):
        return classes_of(coarse.resized())
    return torch.cat([_of_one(coarse._replace(logits=one)) for one in coarse.logits.split(1)])


def _of_one(coarse: CoarseLogits) -> Tensor:
    """Return the class map of a batch of one."""
    classes = coarse.logits.shape[1]
    if classes * math.prod(coarse.padded) <= (LITTLE if classes >= MANY else AT_ONCE):
        return classes_of(coarse.resized())
    found = class_map_by_cells(coarse) if classes >= MANY else None
    if found is None and (ratios := whole_ratios(coarse)):
        found = class_map_by_strips(coarse, ratios)
    if found is None:
        blocks = class_blocks(coarse)
        found = running_maximum((start, coarse.of_classes(start, stop).resized()) for start, stop in blocks)
    return found.to(index_type(classes))
