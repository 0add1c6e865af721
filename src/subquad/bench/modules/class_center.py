"""ACFNet's context: the mean features of each class, handed to positions as the class is likely there."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClassCenter(nn.Module):
    """x + out(C P), where P says how likely each class is at each position, and C are the classes' means.

    Args:
        dim: Channels.
        classes: Of the coarse segmentation that P comes from.

    References:
        Zhang et al., "ACFNet: Attentional Class Feature Network for Semantic Segmentation", ICCV 2019,
        sections 3.2 and 3.3.
    """

    def __init__(self, dim: int, classes: int = 19) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(dim, classes, 1)
        self.narrow, self.center, self.out = (nn.Conv2d(dim, dim, 1, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Average by class, and distribute; (batch, dim, height, width)."""
        likely = self.coarse(x).flatten(2).softmax(dim=1)  # (batch, classes, positions)
        centers = self.centers(self.narrow(x).flatten(2), likely)
        handed = self.center(centers.unsqueeze(-1)).squeeze(-1) @ likely
        return x + torch.relu(self.out(handed.reshape(x.shape)))

    @staticmethod
    def centers(features: Tensor, likely: Tensor) -> Tensor:
        """Return the mean features of each class, (batch, dim, classes)."""
        return features @ likely.mT / likely.sum(dim=-1).unsqueeze(1)
