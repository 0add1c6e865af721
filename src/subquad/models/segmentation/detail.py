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


class FineCorrection(nn.Module):
    """A correction of logits at the size of a map that is finer still, for borders of a pixel or two.

    The features tell what is there, the fine map where it ends; two full convolutions join them, and
    what they say is added to the logits of the coarser map.

    Args:
        fine_channels: Of the finer map.
        channels: Of the features.
        width: Channels of the convolutions at the fine map's size.
        num_classes: Of the logits.
    """

    def __init__(self, fine_channels: int, channels: int, width: int, num_classes: int) -> None:
        super().__init__()
        # Batch norm: the usual 32 groups of so few channels would be single channels, and each map would
        # lose how much of it there is in an image.
        self.narrow = ConvNormReLU(channels, width, "batch")
        self.join = ConvNormReLU(fine_channels + width, width, "batch", kernel_size=3)
        self.refine = ConvNormReLU(width, width, "batch", kernel_size=3)
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, logits: Tensor, features: Tensor, fine: Tensor) -> Tensor:
        """Correct logits.

        Args:
            logits: (batch, num_classes, h, w).
            features: (batch, channels, h, w).
            fine: (batch, fine_channels, H, W).

        Returns:
            Logits (batch, num_classes, H, W).
        """
        size = fine.shape[2:]
        logits, features = (
            F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
            for maps in (logits, self.narrow(features))
        )
        joined = self.join(torch.cat([fine, features], dim=1))
        return logits + self.classifier(self.refine(joined))
