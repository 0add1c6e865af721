"""Why a generator is not exported like networks that map images to logits."""

from __future__ import annotations

from typing import NoReturn

from torch import nn


def refuse_to_trace(
    network: nn.Module, *, size: object = None, in_channels: object = None, preprocess: object = None
) -> NoReturn:
    """Raise ValueError: the checks of an export are those of logits.

    Args:
        network: A HamGAN.
        size: Whatever it is, as the next two.
        in_channels: Of an export.
        preprocess: Of an export.
    """
    raise ValueError(
        f"only networks that map images or sequences to logits are exported like this, and a "
        f"{type(network).__name__} does not; torch.export takes it as it is, see docs/hamgan.md."
    )
