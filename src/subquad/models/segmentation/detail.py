"""Edges back: features with context, and beside them a map that is finer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.segmentation.heads import ConvNormReLU
from subquad.nn.conv import make_norm
from subquad.nn.hamburger import Norm


class DetailPath(nn.Module):
    """Features at the size of a finer map, refined by what that map knows of thin things.

    The finer map is reduced to a few channels, so that it tells where edges are and leaves what things
    are to the features; a depthwise and a pointwise convolution join the two.

    Args:
        fine_channels: Of the finer map.
        channels: Of the features, which come back with as many.
        width: Channels to which the finer map is reduced.
        norm: "batch" or "group" (32 groups).

    References:
        Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
        ECCV 2018, section 3.1: the decoder.
    """

    def __init__(self, fine_channels: int, channels: int, width: int, norm: Norm) -> None:
        super().__init__()
        joined = width + channels
        self.reduce = ConvNormReLU(fine_channels, width, norm)
        self.depthwise = nn.Conv2d(joined, joined, 3, padding=1, groups=joined, bias=False)
        self.depthwise_norm = make_norm(norm, joined)
        self.pointwise = ConvNormReLU(joined, channels, norm)

    def forward(self, features: Tensor, fine: Tensor) -> Tensor:
        """Map (batch, channels, h, w) and (batch, fine_channels, H, W) to (batch, channels, H, W)."""
        features = F.interpolate(features, size=fine.shape[2:], mode="bilinear", align_corners=False)
        joined = torch.cat([self.reduce(fine), features], dim=1)
        return self.pointwise(self.depthwise_norm(self.depthwise(joined)).relu())
