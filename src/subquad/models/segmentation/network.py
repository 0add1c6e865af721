"""What every network does: files; those on images check them; for segmentation, resize the logits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.config import ImageConfig, NetworkConfig, SegmentationConfig


class Network(nn.Module):
    """A network that knows what it was built from.

    Attributes:
        config: Its configuration; a checkpoint stores it.
    """

    config: NetworkConfig

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        license: str = "apache-2.0",
        metrics: Mapping[str, float] | None = None,
        description: str = "",
    ) -> None:
        """Write weights, configuration and a model card; see `subquad.models.save_pretrained`."""
        from subquad.models.hub import save_pretrained  # which knows the networks

        save_pretrained(self, folder, license=license, metrics=metrics, description=description)

    def push_to_hub(
        self,
        repository: str,
        *,
        license: str = "apache-2.0",
        metrics: Mapping[str, float] | None = None,
        description: str = "",
        private: bool | None = None,
        token: str | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes; see `subquad.models.push_to_hub`."""
        from subquad.models.hub import push_to_hub

        return push_to_hub(
            self,
            repository,
            license=license,
            metrics=metrics,
            description=description,
            private=private,
            token=token,
        )

    @classmethod
    def from_pretrained(cls, source: str | Path, *, revision: str | None = None) -> Self:
        """Rebuild a network from a folder or a repository; see `subquad.models.from_pretrained`.

        Raises:
            ValueError: If it is another kind of network, or as `subquad.models.from_pretrained`.
        """
        from subquad.models.hub import from_pretrained

        network = from_pretrained(source, revision=revision)
        if not isinstance(network, cls):
            raise ValueError(f"{source} holds a {type(network).__name__}, not a {cls.__name__}.")
        return network


class ImageNetwork(Network):
    """A network on images (batch, in_channels, H, W)."""

    config: ImageConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def check_images(self, images: Tensor) -> None:
        """Raise ValueError unless the images are (batch, in_channels, H, W)."""
        if images.dim() != 4 or images.shape[1] != self.config.in_channels:
            raise ValueError(
                f"expected images (batch, {self.config.in_channels}, height, width), got "
                f"{tuple(images.shape)}."
            )


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
