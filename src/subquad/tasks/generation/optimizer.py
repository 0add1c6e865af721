"""The options of training a HamGAN, as typed values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch.optim import Adam

from subquad.base.limits import LARGEST_RATE
from subquad.models.hamgan import HamGAN
from subquad.models.hamgan.generator import Generator
from subquad.nn import ConditionalBatchNorm


@dataclass(frozen=True)
class HamGANOptions:
    """The two optimisers, which are Adam with constant learning rates.

    Attributes:
        generator_lr: Learning rate of the generator.
        discriminator_lr: Of the discriminator; the usual rule is that it is the higher one.
        betas: Of both.
        eps: Of both.
        norm_momentum: Share of the newest batch in the moving statistics of the generator's norms, which
            see two batches a step. The published 0.001 is too slow for runs of a few thousand steps.

    Raises:
        ValueError: If a number is out of range.

    References:
        Heusel et al., "GANs Trained by a Two Time-Scale Update Rule ...", NIPS 2017.
    """

    generator_lr: float = 1e-4
    discriminator_lr: float = 4e-4
    betas: tuple[float, float] = (0.0, 0.999)
    eps: float = 1e-8
    norm_momentum: float = 0.001

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for name in ("generator_lr", "discriminator_lr", "eps"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"optimizer.{name} must be positive, got {value}.")
            if value > LARGEST_RATE:
                raise ValueError(f"optimizer.{name} may be {LARGEST_RATE:g} at most, got {value:g}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optimizer.betas must be two numbers in [0, 1), got {self.betas}.")
        if not 0 < self.norm_momentum <= 1:
            raise ValueError(f"optimizer.norm_momentum must be in (0, 1], got {self.norm_momentum}.")

    def build(self, generator: Generator, network: HamGAN) -> list[Adam]:
        """Return the optimisers of the generator that is trained and of the network's discriminator."""
        return [
            Adam(part.parameters(), lr=lr, betas=self.betas, eps=self.eps)
            for part, lr in (
                (generator, self.generator_lr),
                (network.discriminator, self.discriminator_lr),
            )
        ]

    def set_momentum(self, generator: Generator) -> None:
        """Give all norms of a generator the momentum."""
        for module in generator.modules():
            if isinstance(module, ConditionalBatchNorm):
                module.momentum = self.norm_momentum
                module.norm.momentum = self.norm_momentum  # pyright: ignore
