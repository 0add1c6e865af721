"""Networks of a file on a machine that has not all of what they were trained on."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from subquad.nn import Ham
from subquad.ops.precision import why_not_bfloat16


def made_portable(network: nn.Module, where: str | Path) -> None:
    """Let hams that were trained with products in bfloat16 take float32 where bfloat16 is not faster.

    Whoever asks for bfloat16 is refused there; whoever loads a file did not ask. With a GPU, it is left to
    the device that the network is moved to.

    Args:
        network: On the CPU; changed.
        where: Its file, for the warning.
    """
    hams = [part for part in network.modules() if isinstance(part, Ham) and part.precision == "bfloat16"]
    why = "" if not hams or torch.cuda.is_available() else why_not_bfloat16("cpu")
    if why:
        for ham in hams:
            ham.precision = "float32"
        warnings.warn(
            f"{where} was trained with products in bfloat16, which are not faster on this CPU ({why}); they "
            "are taken in float32.",
            stacklevel=3,
        )
