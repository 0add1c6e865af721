"""A backbone, context if it is wanted, the mean over the positions, a linear layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from subquad.models.backbones import make_backbone
from subquad.models.classification.config import ClassifierConfig
from subquad.models.classification.timm import TimmBody
from subquad.models.network import ImageNetwork
from subquad.models.registry import register
from subquad.nn import SelfAttention, insert_context
from subquad.nn.insert import Layout
from subquad.nn.reset import start_with


@register(ClassifierConfig)
class Classifier(ImageNetwork):
    """A backbone, the mean over its positions, a linear layer (Guo et al., CVMJ 2023, section 3.3).

    Args:
        config: Its options.

    Attributes:
        last_map: What the last map goes through before the mean: nothing, or the context.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        if config.backbone.startswith("timm/"):
            self.backbone: Any = TimmBody(
                config.backbone.removeprefix("timm/"),
                in_channels=config.in_channels,
                drop_path=config.drop_path,
                image_size=config.image_size,
            )
            width = self.backbone.width
        else:
            self.backbone = make_backbone(
                config.backbone, in_channels=config.in_channels, drop_path=config.drop_path
            )
            width = self.backbone.channels[-1]
        self.last_map = nn.Sequential(nn.Identity())
        if config.context != "none":
            self._insert_context()
        self.classifier = nn.Linear(width, config.num_classes)
        start_with(self.classifier, _small)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (batch, in_channels, H, W) to logits (batch, num_classes).

        Raises:
            ValueError: If the images are not (batch, in_channels, H, W).
        """
        self.check_images(images)
        if isinstance(self.backbone, TimmBody):
            return self.classifier(self.backbone.pooled(self.last_map(self.backbone(images))))
        return self.classifier(self.last_map(self.backbone(images)[-1]).mean(dim=(2, 3)))

    def _insert_context(self) -> None:
        config = self.config
        assert isinstance(config, ClassifierConfig)
        channels, layout, prefix_tokens = self._last_map_form()
        # As wide as `insert_context` makes it.
        attention = SelfAttention(min(channels, 512), config.heads) if config.context == "attention" else None
        insert_context(
            self.last_map,
            "0",
            channels=channels,
            layout=layout,
            prefix_tokens=prefix_tokens,
            ham=attention,
            **config.ham_options,
        )

    def _last_map_form(self) -> tuple[int, Layout, int]:
        """Return channels, layout and prefix tokens of the last map."""
        if isinstance(self.backbone, TimmBody):
            return self.backbone.form()
        return self.backbone.channels[-1], "channels_first", 0


def _small(classifier: nn.Linear) -> None:
    nn.init.trunc_normal_(classifier.weight, std=0.02)
    nn.init.zeros_(classifier.bias)
