"""What every network does: files; those on images check them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from torch import Tensor, nn

from subquad.models import hub
from subquad.models.config import ImageConfig, NetworkConfig


class Network(nn.Module):
    """A network that knows what it was built from.

    Attributes:
        config: Its configuration; a checkpoint stores it.
    """

    config: NetworkConfig

    save_pretrained = hub.save_pretrained
    push_to_hub = hub.push_to_hub

    @classmethod
    def from_pretrained(cls, source: str | Path, *, revision: str | None = None) -> Self:
        """Rebuild a network from a folder or a repository; see `subquad.models.from_pretrained`.

        Raises:
            ValueError: If it is another kind of network, or as `subquad.models.from_pretrained`.
        """
        network = hub.from_pretrained(source, revision=revision)
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
