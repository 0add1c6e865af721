"""Backbones: images to feature maps."""

from __future__ import annotations

from torch import nn

from subquad.base.suggest import did_you_mean
from subquad.models.backbones.base import Backbone, DropPath
from subquad.models.backbones.conv_tiny import ConvTiny
from subquad.models.backbones.mscan import MSCAN, MSCAN_SIZES
from subquad.models.backbones.resnet import RESNET_SIZES, ResNet
from subquad.models.backbones.van import VAN, VAN_SIZES

__all__ = [
    "MSCAN",
    "MSCAN_SIZES",
    "RESNET_SIZES",
    "VAN",
    "VAN_SIZES",
    "Backbone",
    "ConvTiny",
    "DropPath",
    "ResNet",
    "backbone_papers",
    "make_backbone",
]


def make_backbone(
    name: str, *, in_channels: int = 3, drop_path: float = 0.0, output_stride: int | None = None
) -> nn.Module:
    """Build a backbone, randomly initialised; the result follows `Backbone`.

    Args:
        name: One of `VAN_SIZES`, `MSCAN_SIZES` or `RESNET_SIZES`, "conv_tiny", or "timm/NAME" for
            any of timm's.
        in_channels: Of the images.
        drop_path: Stochastic depth rate of the last block; conv_tiny and the ResNets have none.
        output_stride: Of the coarsest map, where it can be chosen: 8 or 32 (VAN), 8 or 16 (ResNet), 8, 16
            or 32 (most of timm's). None for the backbone's own.

    Raises:
        ValueError: If the name is unknown, or the backbone cannot have that output stride.
    """
    if name in VAN_SIZES:
        return VAN(
            VAN_SIZES[name],
            in_channels=in_channels,
            drop_path=drop_path,
            output_stride=output_stride or 32,
        )
    if name in RESNET_SIZES:
        return ResNet(RESNET_SIZES[name], in_channels=in_channels, output_stride=output_stride or 8)
    if output_stride is not None and name in (*MSCAN_SIZES, "conv_tiny"):
        raise ValueError(
            f"the output stride of {name} cannot be chosen; leave output_stride out, or take one of "
            f"{', '.join(VAN_SIZES)}, {', '.join(RESNET_SIZES)} or a timm/NAME."
        )
    if name in MSCAN_SIZES:
        return MSCAN(MSCAN_SIZES[name], in_channels=in_channels, drop_path=drop_path)
    if name == "conv_tiny":
        return ConvTiny(in_channels=in_channels)
    if name.startswith("timm/"):
        from subquad.models.backbones.timm import TimmBackbone  # timm is optional

        return TimmBackbone(
            name.removeprefix("timm/"),
            in_channels=in_channels,
            drop_path=drop_path,
            output_stride=output_stride,
        )
    hint = did_you_mean(name, [*VAN_SIZES, *MSCAN_SIZES, *RESNET_SIZES, "conv_tiny"])
    raise ValueError(f"unknown backbone {name!r}.{hint} Those of timm are called 'timm/NAME'.")


def backbone_papers(name: str) -> tuple[str, ...]:
    """Return the papers that a backbone of `make_backbone` is of; timm names those of its own."""
    papers = (
        (VAN_SIZES, "Guo et al., CVMJ 2023"),
        (MSCAN_SIZES, "Guo et al., SegNeXt, NeurIPS 2022"),
        ((*RESNET_SIZES, "conv_tiny"), "He et al., CVPR 2016"),  # whose residual blocks conv_tiny has
    )
    return tuple(paper for sizes, paper in papers if name in sizes)
