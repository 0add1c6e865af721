"""Generator and discriminator as one network that can be saved."""

from __future__ import annotations

from torch import Tensor

from subquad.models.hamgan.config import HamGANConfig
from subquad.models.hamgan.discriminator import Discriminator
from subquad.models.hamgan.generator import Generator
from subquad.models.network import ImageNetwork
from subquad.models.registry import register


@register(HamGANConfig)
class HamGAN(ImageNetwork):
    """Class-conditional generation with Hamburgers (Geng et al., ICLR 2021).

    Args:
        config: Its options.

    Attributes:
        generator: (latent, labels) to images in -1..1.
        discriminator: (images, labels) to logits (batch,).
    """

    config: HamGANConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, config: HamGANConfig) -> None:
        super().__init__()
        self.config = config  # pyright: ignore[reportIncompatibleVariableOverride]
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Make images; see `Generator.forward`."""
        return self.generator(latent, labels)
