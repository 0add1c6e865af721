"""The networks that `bench models` measures: ours, and those that people use for the same work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models import create_model


class Contender(NamedTuple):
    """A network for pictures of any kind, with random weights.

    Attributes:
        name: Its name.
        package: That it comes from.
        build: Makes it for so many classes: images to logits of their size.
    """

    name: str
    package: str
    build: Callable[[int], nn.Module]


class Rival(nn.Module):
    """A network of another package that gives logits of the image's size, as its documentation does it.

    Args:
        network: As the package builds it.
        logits: Finds the logits in what it returns.
    """

    def __init__(self, network: nn.Module, logits: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.network, self.logits = network, logits

    def forward(self, images: Tensor) -> Tensor:
        """Map images to logits."""
        logits = self.logits(self.network(images))
        if logits.shape[2:] == images.shape[2:]:
            return logits
        return F.interpolate(logits, images.shape[2:], mode="bilinear", align_corners=False)


def _ours(classes: int, *, name: str, backbone: str | None = None) -> nn.Module:
    more = {} if backbone is None else {"backbone": backbone}
    return create_model(name, num_classes=classes, **more)


def _torchvision(classes: int, *, name: str) -> nn.Module:
    from torchvision.models import get_model

    network = get_model(name, weights=None, weights_backbone=None, num_classes=classes)
    return Rival(network, itemgetter("out"))


def _smp(classes: int, *, name: str) -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.create_model(name, encoder_name="resnet18", encoder_weights=None, classes=classes)


def _segformer_b0(classes: int) -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig()  # whose defaults are those of B0
    config.num_labels = classes
    return Rival(SegformerForSemanticSegmentation(config), attrgetter("logits"))


REFERENCE = "SegFormer-B0"  # what all are compared with
CONTENDERS = (
    Contender("light_ham_van_tiny_d256", "torch", partial(_ours, name="light_ham_van_tiny_d256")),
    Contender(
        "light_ham_d256, timm lite0",
        "timm",
        partial(_ours, name="light_ham_van_tiny_d256", backbone="timm/tf_efficientnet_lite0"),
    ),
    Contender("light_ham_efficientnet_lite0", "timm", partial(_ours, name="light_ham_efficientnet_lite0")),
    Contender("segnext_tiny", "torch", partial(_ours, name="segnext_tiny")),
    Contender("hamnet_van_tiny_os8", "torch", partial(_ours, name="hamnet_van_tiny_os8")),
    Contender("LR-ASPP MobileNetV3", "torchvision", partial(_torchvision, name="lraspp_mobilenet_v3_large")),
    Contender(
        "DeepLabV3 MobileNetV3",
        "torchvision",
        partial(_torchvision, name="deeplabv3_mobilenet_v3_large"),
    ),
    Contender("DeepLabV3+ ResNet-18", "segmentation_models_pytorch", partial(_smp, name="deeplabv3plus")),
    Contender("U-Net ResNet-18", "segmentation_models_pytorch", partial(_smp, name="unet")),
    Contender(REFERENCE, "transformers", _segformer_b0),
)


def is_installed(package: str) -> bool:
    """Say whether a package can be imported; it is not imported."""
    return find_spec(package) is not None
