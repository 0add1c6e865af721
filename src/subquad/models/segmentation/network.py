"""What every segmentation network does: resize the logits to the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from subquad.models.network import ImageNetwork
from subquad.models.segmentation.class_blocks import index_type
from subquad.models.segmentation.class_map import class_map
from subquad.models.segmentation.coarse import CoarseLogits
from subquad.models.segmentation.config import SegmentationConfig
from subquad.models.segmentation.mirror import mirrored


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

    @property
    def aligned_sizes(self) -> int:
        """Sides of images are padded to multiples of this; 1 for no padding, as in the papers' networks."""
        return getattr(self.backbone, "aligned_sizes", 1)

    @property
    def has_coarse_logits(self) -> bool:
        """Whether a call gives what `coarse` gives, resized, and has nothing more to it, such as hooks."""
        own = type(self).forward is not SegmentationNetwork.forward or "forward" in vars(self)
        called = self._forward_hooks or self._forward_pre_hooks or self._compiled_call_impl
        return not (own or called)

    def forward(self, images: Tensor) -> Tensor:
        """Map images to logits.

        Args:
            images: Normalised, (batch, in_channels, H, W), any H and W.

        Returns:
            Logits (batch, num_classes, H, W).

        Raises:
            ValueError: If the images are not (batch, in_channels, H, W).
        """
        return self.coarse(images).resized()

    def coarse(self, images: Tensor) -> CoarseLogits:
        """Map images to logits at the stride of the head; a class map needs no more.

        Args:
            images: As in `forward`.

        Raises:
            ValueError: As `forward`.
        """
        self.check_images(images)
        padded = self.padded(images)
        return self._coarse(self.head(self.backbone(padded)), padded, images)

    def class_map(self, images: Tensor) -> Tensor:
        """Map images to the class of each pixel, as `network(images).argmax(1)`, without all their logits.

        Args:
            images: As in `forward`.

        Returns:
            (batch, H, W), uint8, or int64 if there are more than 255 classes; of equal logits the first.

        Raises:
            ValueError: As `forward`.
        """
        if not self.has_coarse_logits:
            logits = self(images)
            return logits.max(dim=1).indices.to(index_type(logits.shape[1]))
        return class_map(self.coarse(images))

    def forward_with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map images to the logits of `forward` and those of the auxiliary head, if there is one.

        Args:
            images: As in `forward`.

        Raises:
            ValueError: As `forward`.
        """
        logits, auxiliary = self.coarse_with_auxiliary(images)
        return logits.resized(), None if auxiliary is None else auxiliary.resized()

    def coarse_with_auxiliary(self, images: Tensor) -> tuple[CoarseLogits, CoarseLogits | None]:
        """Map images to the logits of both heads at their strides, as `forward_with_auxiliary`.

        Args:
            images: As in `forward`.

        Raises:
            ValueError: As `forward`.
        """
        self.check_images(images)
        padded = self.padded(images)
        maps = self.backbone(padded)
        logits = self._coarse(self.head(maps), padded, images)
        if self.auxiliary_head is None:
            return logits, None
        return logits, self._coarse(self.auxiliary_head(maps[-2]), padded, images)

    def padded(self, images: Tensor) -> Tensor:
        """Mirror the right and the bottom of images, up to `aligned_sizes`.

        Of other sizes, strides round up: the maps are stretched when they are resized, by up to a step of
        the coarsest, and padding that depends on the size shifts them, so that a network trained on one
        size is worse on another. The context sees what is added; a mirror adds what the image shows.
        """
        step = self.aligned_sizes
        height, width = images.shape[2:]
        # A program that is exported must not compare: it would take such sizes alone.
        fits = step == 1 or (not torch.compiler.is_exporting() and height % step == width % step == 0)
        return images if fits else mirrored(images, height + -height % step, width + -width % step)

    def _coarse(self, logits: Tensor, padded: Tensor, images: Tensor) -> CoarseLogits:
        (height, width), (rows, columns) = padded.shape[2:], images.shape[2:]
        return CoarseLogits(
            logits, (height, width), (rows, columns), self.config.align_corners, self.aligned_sizes != 1
        )
