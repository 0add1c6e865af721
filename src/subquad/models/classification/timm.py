"""Any network of timm but its last layer, by the names that its weights have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from subquad.models.backbones.timm import create_timm, takes_one_size
from subquad.nn.insert import Layout


class TimmBody(nn.Module):
    """A timm network up to its last layer, without pretrained weights, in two parts.

    Args:
        name: As timm spells it, such as "resnet18" or "vit_tiny_patch16_224".
        in_channels: Of the images.
        drop_path: Given to the network if it knows stochastic depth.
        image_size: Height and width, given to a network that takes images of one size only.

    Attributes:
        width: Features of `pooled`.

    Raises:
        ValueError: If timm is not installed, does not know the name, or cannot build it so.
    """

    def __init__(self, name: str, *, in_channels: int, drop_path: float, image_size: int) -> None:
        super().__init__()
        self._build = name, in_channels, drop_path, image_size
        self.network: Any = _built(*self._build)
        self.width: int = getattr(self.network, "head_hidden_size", self.network.num_features)

    @property
    def last_layer(self) -> str | None:
        """What timm calls the layer that is left out; None if there are several."""
        name = self.network.default_cfg.get("classifier")
        return name if isinstance(name, str) else None

    def forward(self, images: Tensor) -> Tensor:
        """Map images to the last feature map or tokens, in the layout of the network."""
        return self.network.forward_features(images)

    def pooled(self, features: Tensor) -> Tensor:
        """Map what `forward` gave to features (batch, width)."""
        return self.network.forward_head(features)

    def form(self) -> tuple[int, Layout, int]:
        """Return the channels of the features, their layout, and the tokens in front that are no positions.

        Raises:
            ValueError: If they are neither a map nor tokens.
        """
        name, in_channels, _, size = self._build
        with torch.device("meta"), torch.no_grad():  # whose memory and time are nothing
            twin = _built(*self._build).eval()
            features = twin.forward_features(torch.zeros(1, in_channels, size, size))
        shape = tuple(features.shape) if isinstance(features, Tensor) else ()
        if len(shape) == 3:
            return shape[2], "tokens", int(getattr(self.network, "num_prefix_tokens", 0))
        if len(shape) != 4:
            raise ValueError(
                f"the last features of timm's {name!r} are neither a map nor tokens, so no context goes "
                f"behind them; take context none."
            )
        last = str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC")
        return (shape[3], "channels_last", 0) if last else (shape[1], "channels_first", 0)


def _built(name: str, in_channels: int, drop_path: float, image_size: int) -> Any:
    options = {"num_classes": 0, "in_chans": in_channels}
    wanted = {"img_size": image_size} if takes_one_size(name) else {}
    try:
        return create_timm(name, options, {**wanted, "drop_path_rate": drop_path})
    except (AssertionError, RuntimeError) as error:  # such as patches that do not divide the image
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"timm's {name!r} cannot be built for images of {image_size} x {image_size}: {reason}"
        ) from error
