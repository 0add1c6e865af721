"""The VAN classifier of ImageNet, whose weights segmentation networks start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from subquad.models.backbones import backbone_papers, make_backbone
from subquad.models.config import ImageConfig, Usage
from subquad.models.network import ImageNetwork
from subquad.models.registry import register
from subquad.nn.reset import start_with


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(ImageConfig):
    """Options of `Classifier`.

    Attributes:
        backbone: Any of `make_backbone`; its coarsest map is used.
        drop_path: Stochastic depth rate of the backbone's last block.
    """

    family: ClassVar[str] = "classifier"
    task: ClassVar[str] = "segmentation"  # whose backbones it trains
    usual_size: ClassVar[int] = 224

    num_classes: int = 1000
    backbone: str = "van_tiny"
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_rates("drop_path")

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the network is of."""
        return backbone_papers(self.backbone)

    def usage(self) -> Usage:
        """Return how it is used, for the model card."""
        return self._image_usage("image-classification", "image classification", "classes")


@register(ClassifierConfig)
class Classifier(ImageNetwork):
    """A backbone, the mean over its positions, a linear layer (Guo et al., CVMJ 2023, section 3.3).

    Args:
        config: Its options.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone: Any = make_backbone(
            config.backbone, in_channels=config.in_channels, drop_path=config.drop_path
        )
        self.classifier = nn.Linear(self.backbone.channels[-1], config.num_classes)
        start_with(self.classifier, _small)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (batch, in_channels, H, W) to logits (batch, num_classes).

        Raises:
            ValueError: If the images are not (batch, in_channels, H, W).
        """
        self.check_images(images)
        return self.classifier(self.backbone(images)[-1].mean(dim=(2, 3)))


def _small(classifier: nn.Linear) -> None:
    nn.init.trunc_normal_(classifier.weight, std=0.02)
    nn.init.zeros_(classifier.bias)
