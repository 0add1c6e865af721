"""Any backbone of timm, called "timm/NAME"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class TimmBackbone(nn.Module):
    """The feature maps of a timm network, without pretrained weights.

    Args:
        name: As timm spells it, such as "resnet18" or "convnext_tiny".
        in_channels: Of the images.
        drop_path: Given to the network if it knows stochastic depth.

    Raises:
        ValueError: If timm is not installed, does not know the name, or gives no feature maps.
    """

    def __init__(self, name: str, *, in_channels: int = 3, drop_path: float = 0.0) -> None:
        super().__init__()
        try:
            self.network = create_timm(
                name, {"features_only": True, "in_chans": in_channels}, {"drop_path_rate": drop_path}
            )
        except RuntimeError as error:
            raise ValueError(f"timm's {name!r} gives no feature maps: {error}") from error
        self.channels: tuple[int, ...] = tuple(self.network.feature_info.channels())
        self.channels_are_last = str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (batch, in_channels, H, W) to the feature maps, fine to coarse, channels first."""
        maps = self.network(images)
        return [m.movedim(-1, 1) for m in maps] if self.channels_are_last else list(maps)


def create_timm(name: str, options: Mapping[str, Any], wanted: Mapping[str, Any]) -> Any:
    """Build a network of timm, randomly initialised.

    Args:
        name: As timm spells it.
        options: Of timm's `create_model`.
        wanted: More of them, the last of which are left out until the network knows the rest.

    Raises:
        ValueError: If timm is not installed or does not know the name.
    """
    timm, left = _timm_with(name), dict(wanted)
    while True:
        try:
            return timm.create_model(name, pretrained=False, **options, **left)
        except TypeError:  # such as a network without stochastic depth
            if not left:
                raise
            left.popitem()


def takes_one_size(name: str) -> bool:
    """Say whether a network of timm takes images of the size only that it is built for."""
    known = _timm_with(name).get_pretrained_cfg(name, allow_unregistered=True)
    return bool(known is not None and known.fixed_input_size)


def _timm_with(name: str) -> Any:
    """Return timm, if it is there and knows a network."""
    try:
        import timm
    except ImportError as error:
        raise ValueError("a timm/ backbone needs timm: pip install 'subquad[train]'.") from error
    # A name and a tag of its list alone: other forms of a name would be looked up elsewhere.
    if not re.fullmatch(r"\w+(\.\w+)?", name) or not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name[:6]}*")[:3]) or "see timm.list_models()"
        raise ValueError(f"timm knows no network {name!r}; near it: {near}.")
    return timm
