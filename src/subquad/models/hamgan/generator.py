"""The generator of HamGAN: a random vector and a class to an image."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from subquad.models.hamgan.blocks import UpBlock, conv, spectral
from subquad.models.hamgan.config import FIRST_SIDE, HamGANConfig
from subquad.models.hamgan.context import make_context
from subquad.models.hamgan.labels import check_labels
from subquad.nn.conditional_norm import ConditionalBatchNorm


class Generator(nn.Module):
    """A linear layer to a 4 x 4 map, residual blocks that double its side, a convolution, tanh.

    Sizes 64 and 32 have the last blocks of size 128. The context module sees the map whose side is
    `HamGANConfig.context_side`.

    Args:
        config: Its options.

    References:
        Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021.
    """

    def __init__(self, config: HamGANConfig) -> None:
        super().__init__()
        self.config = config
        sides = [FIRST_SIDE * 2**i for i in range(config.resamplings + 1)]
        # The first map has the channels that its block has in the network of size 128.
        first = config.width * min(16, 2 * config.size // sides[1])
        widths = [first, *(config.channels_at(side) for side in sides[1:])]
        self.project = spectral(nn.Linear(config.latent, first * FIRST_SIDE**2))
        self.blocks = nn.ModuleList(
            UpBlock(before, after, config.num_classes) for before, after in pairwise(widths)
        )
        self.context_at = sides.index(config.context_side)
        self.context = make_context(
            widths[self.context_at], config.generator_rank, config, num_classes=config.num_classes
        )
        self.norm = ConditionalBatchNorm(widths[-1], None)
        self.to_image = conv(widths[-1], config.in_channels, 3)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Make images.

        Args:
            latent: Standard normal, (batch, config.latent).
            labels: Classes, integers (batch,).

        Returns:
            Images in -1..1, (batch, in_channels, size, size).

        Raises:
            ValueError: If the latent vectors or the labels do not fit.
        """
        config = self.config
        if latent.dim() != 2 or latent.shape[1] != config.latent:
            raise ValueError(f"expected latent (batch, {config.latent}), got {tuple(latent.shape)}.")
        check_labels(labels, len(latent), config.num_classes)
        x = self.project(latent).unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE))
        for index, block in enumerate(self.blocks):
            if index == self.context_at and self.context is not None:
                x = self.context(x, labels)
            x = block(x, labels)
        return self.to_image(self.norm(x).relu()).tanh()
