"""Backbones: images to feature maps."""

from __future__ import annotations

from torch import nn

from subquad.models.backbones.base import Backbone, DropPath
from subquad.models.backbones.conv_tiny import ConvTiny
from subquad.models.backbones.van import VAN, VAN_SIZES
from subquad.models.suggest import did_you_mean

__all__ = ["VAN", "VAN_SIZES", "Backbone", "ConvTiny", "DropPath", "make_backbone"]


def make_backbone(name: str, *, in_channels: int = 3, drop_path: float = 0.0) -> nn.Module:
    """Build a backbone, randomly initialised; the result follows `Backbone`.

    Args:
        name: One of `VAN_SIZES`, "conv_tiny", or "timm/NAME" for any of timm's.
        in_channels: Of the images.
        drop_path: Stochastic depth rate of the last block; conv_tiny has none.

    Raises:
        ValueError: If the name is unknown.
    """
    if name in VAN_SIZES:
        return VAN(VAN_SIZES[name], in_channels=in_channels, drop_path=drop_path)
    if name == "conv_tiny":
        return ConvTiny(in_channels=in_channels)
    if name.startswith("timm/"):
        from subquad.models.backbones.timm import TimmBackbone  # timm is optional

        return TimmBackbone(name.removeprefix("timm/"), in_channels=in_channels, drop_path=drop_path)
    hint = did_you_mean(name, [*VAN_SIZES, "conv_tiny"])
    raise ValueError(f"unknown backbone {name!r}.{hint} Those of timm are called 'timm/NAME'.")
