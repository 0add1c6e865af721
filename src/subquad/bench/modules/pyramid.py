"""APCNet's context: regions of several sizes, and for each position how much it takes of each region."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AdaptivePyramid(nn.Module):
    """Adaptive context modules of several scales, added to x.

    At scale s the map is pooled to s x s regions; a sigmoid of each position's features, added to those of
    the whole image, weighs the regions for it.

    Args:
        dim: Channels.
        scales: Regions along each side.

    References:
        He et al., "Adaptive Pyramid Context Network for Semantic Segmentation", CVPR 2019, section 3.
        The paper concatenates the scales for its classifier; here they are added, as a block that keeps the
        channels.
    """

    def __init__(self, dim: int, scales: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.scales = scales
        self.narrow = nn.ModuleList(_conv(dim, dim) for _ in scales)
        self.region = nn.ModuleList(_conv(dim, dim) for _ in scales)
        self.affinity = nn.ModuleList(nn.Conv2d(dim, scale**2, 1) for scale in scales)

    def forward(self, x: Tensor) -> Tensor:
        """Add what each position takes of all regions; (batch, dim, height, width)."""
        for scale, narrow, region, affinity in zip(
            self.scales, self.narrow, self.region, self.affinity, strict=True
        ):
            features = narrow(x)
            weights = affinity(features + features.mean(dim=(-2, -1), keepdim=True)).sigmoid().flatten(2)
            regions = region(F.adaptive_avg_pool2d(x, scale)).flatten(2)  # (batch, dim, scale^2)
            x = x + torch.relu((regions @ weights).reshape(x.shape))
        return x


def _conv(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU())
