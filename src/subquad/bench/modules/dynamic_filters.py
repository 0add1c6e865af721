"""DMNet's context: filters that are made of the image, of several sizes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DynamicFilters(nn.Module):
    """Dynamic convolutional modules of several scales, added to x.

    At scale k the map, pooled to k x k and mapped linearly, is a filter of k x k for each channel of that
    image, with which the map, mapped linearly, is convolved.

    Args:
        dim: Channels.
        scales: Sides of the filters.

    References:
        He et al., "Dynamic Multi-Scale Filters for Semantic Segmentation", ICCV 2019, section 3.
        The paper concatenates the scales for its classifier; here they are added, as a block that keeps the
        channels.
    """

    def __init__(self, dim: int, scales: tuple[int, ...] = (1, 3, 5, 7)) -> None:
        super().__init__()
        self.scales = scales
        self.narrow = nn.ModuleList(nn.Conv2d(dim, dim, 1) for _ in scales)
        self.filter = nn.ModuleList(nn.Conv2d(dim, dim, 1) for _ in scales)
        self.fuse = nn.ModuleList(nn.Conv2d(dim, dim, 1) for _ in scales)

    def forward(self, x: Tensor) -> Tensor:
        """Add the map, filtered by filters of its own; (batch, dim, height, width)."""
        added = x
        for scale, narrow, make, fuse in zip(self.scales, self.narrow, self.filter, self.fuse, strict=True):
            filters = make(F.adaptive_avg_pool2d(x, scale)).flatten(0, 1).unsqueeze(1)
            maps = narrow(x).flatten(0, 1).unsqueeze(0)  # each image's channels are groups of their own
            filtered = F.conv2d(maps, filters, padding=scale // 2, groups=len(filters))
            added = added + fuse(torch.relu(filtered.reshape(x.shape)))
        return added
