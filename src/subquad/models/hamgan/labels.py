"""What both networks ask of the labels."""

from __future__ import annotations

import torch
from torch import Tensor


def check_labels(labels: Tensor, batch: int, num_classes: int) -> None:
    """Raise ValueError unless the labels are `batch` integers from 0 to `num_classes` - 1.

    The values are looked at on the CPU alone: on a GPU that would wait for it at each step.
    """
    if labels.shape != (batch,) or labels.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"expected {batch} integer labels (batch,), got {labels.dtype} {tuple(labels.shape)}."
        )
    if labels.device.type != "cpu" or torch.compiler.is_compiling() or not batch:
        return
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise ValueError(f"labels must be 0 to {num_classes - 1}, got {int(wrong[0])}.")
