"""The discriminator of HamGAN: is this an image of that class?"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from subquad.models.hamgan.blocks import DownBlock, spectral
from subquad.models.hamgan.config import HamGANConfig
from subquad.models.hamgan.context import make_context
from subquad.models.hamgan.labels import check_labels
from subquad.ops.autocast import autocast_off


class Discriminator(nn.Module):
    """Residual blocks that halve the side down to 4, one more, a sum over positions, a projection.

    The logit is linear(h) + <h, embedding(label)>. The context module sees the map whose side is
    `HamGANConfig.context_side`. Unlike the original it tells training from evaluation:
    evaluation keeps no new vectors of the spectral norm.

    Args:
        config: Its options.

    References:
        Miyato and Koyama, "cGANs with Projection Discriminator", ICLR 2018; Geng et al., ICLR 2021.
    """

    def __init__(self, config: HamGANConfig) -> None:
        super().__init__()
        self.config = config
        count = config.resamplings
        widths = [config.width * 2**i for i in range(count)]
        last = min(16 * config.width, 2 * widths[-1])
        self.blocks = nn.ModuleList(
            [
                DownBlock(config.in_channels, widths[0], first=True),
                *(DownBlock(before, after) for before, after in pairwise(widths)),
                DownBlock(widths[-1], last, halve=False),
            ]
        )
        self.context_at = (config.size // config.context_side).bit_length() - 1
        self.context = make_context(
            widths[self.context_at - 1], config.discriminator_rank, config, num_classes=None
        )
        self.linear = spectral(nn.Linear(last, 1))
        self.embedding = spectral(nn.Embedding(config.num_classes, last))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge images.

        Args:
            images: In -1..1, (batch, in_channels, size, size).
            labels: Classes, integers (batch,).

        Returns:
            Logits (batch,): positive for what looks real.

        Raises:
            ValueError: If images or labels do not fit.
        """
        config = self.config
        expected = (config.in_channels, config.size, config.size)
        if images.dim() != 4 or images.shape[1:] != expected:
            raise ValueError(f"expected images (batch, {', '.join(map(str, expected))}), got "
                             f"{tuple(images.shape)}.")  # fmt: skip
        check_labels(labels, len(images), config.num_classes)
        x = images
        for index, block in enumerate(self.blocks):
            if index == self.context_at and self.context is not None:
                x = self.context(x, labels)
            x = block(x)
        with autocast_off(x):  # sums and logits are large: bfloat16 would round them to whole steps
            features = x.to(self.linear.bias.dtype).relu().sum(dim=(2, 3))  # (batch, channels)
            return self.linear(features).squeeze(1) + (features * self.embedding(labels)).sum(dim=1)
