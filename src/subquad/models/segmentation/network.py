"""What every segmentation network does: resize the logits to the image."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.network import ImageNetwork
from subquad.models.segmentation.config import SegmentationConfig


class SegmentationNetwork(ImageNetwork):
    """A backbone, a head, and maybe an auxiliary head that only training uses.

    Attributes:
        config: What it was built from.
        backbone: Images to feature maps, fine to coarse.
        head: Feature maps to logits.
        auxiliary_head: The last but one feature map to logits; None if there is none.
    """

    config: SegmentationConfig  # pyright: ignore[reportIncompatibleVariableOverride]
    backbone: Any
    head: nn.Module
    auxiliary_head: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary_head = None

    def forward(self, images: Tensor) -> Tensor:
        """Map images to logits.

        Args:
            images: Normalised, (batch, in_channels, H, W), any H and W.

        Returns:
            Logits (batch, num_classes, H, W).

        Raises:
            ValueError: If the images are not (batch, in_channels, H, W).
        """
        self.check_images(images)
        return self._resized(self.head(self.backbone(images)), images)

    def forward_with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map images to the logits of `forward` and those of the auxiliary head, if there is one.

        Args:
            images: As in `forward`.

        Raises:
            ValueError: As `forward`.
        """
        self.check_images(images)
        maps = self.backbone(images)
        logits = self._resized(self.head(maps), images)
        if self.auxiliary_head is None:
            return logits, None
        return logits, self._resized(self.auxiliary_head(maps[-2]), images)

    def _resized(self, logits: Tensor, images: Tensor) -> Tensor:
        return F.interpolate(
            logits, size=images.shape[2:], mode="bilinear", align_corners=self.config.align_corners
        )
