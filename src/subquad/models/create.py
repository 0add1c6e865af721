"""Networks by name, from random or pretrained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.models.originals.load import load_original
from subquad.models.pretrained import Pretrained, pretrained_file, with_pretrained
from subquad.models.registry import model_config

if TYPE_CHECKING:
    from subquad.models.network import Network


def create_model(name: str, *, pretrained: Pretrained | None = None, **overrides: Any) -> Network:
    """Build a network by name, randomly initialised but for a pretrained backbone.

    Args:
        name: One of `list_models()`.
        pretrained: ImageNet weights of the backbone: "efficientnet_lite0", "efficientnet_lite1" or
            "efficientnet_lite2" of the extra `[pretrained]`, which need no network connection and set the
            backbone; True downloads those of a backbone "timm/NAME". Mean and standard deviation are
            taken over.
        **overrides: Options of its configuration, such as `num_classes=11` or `rank=16`; a solver
            is a value (`VQ(temperature=0.1)`) or a name ("VQ").

    Returns:
        The network in training mode. For any H and W, a segmentation network maps normalised images
        (batch, in_channels, H, W) to logits (batch, num_classes, H, W), a classifier to logits
        (batch, num_classes). A sequence network maps tokens (batch, n) or values (batch, n,
        in_features) to (batch, num_classes). HamGAN makes images of one size from random vectors
        and classes.

    Raises:
        ValueError: If the name or an option is unknown; the message suggests the right one. If the
            pretrained weights cannot be had, or are of another backbone.
    """
    config = with_pretrained(model_config(name, **overrides), pretrained, overrides)
    network = config.build()
    if pretrained:
        load_original(network, pretrained_file(pretrained, config.backbone))
    return network
