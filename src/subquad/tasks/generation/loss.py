"""What generator and discriminator are trained for, and the moving average of a generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the hinge loss of logits of real and of generated images: mean (1 - real)+ + mean (1 + fake)+.

    It is 2 for a discriminator that says nothing, and 0 for one that tells all images apart by a margin.

    References:
        Lim and Ye, "Geometric GAN", 2017; Miyato et al., ICLR 2018.
    """
    return (1 - real.float()).relu().mean() + (1 + fake.float()).relu().mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Return the negative mean of the logits of generated images."""
    return -fake.float().mean()


@torch.no_grad()
def average_into(average: nn.Module, trained: nn.Module, decay: float) -> None:
    """Move the parameters of `average` towards those of `trained`; buffers are copied.

    Args:
        average: average = decay * average + (1 - decay) * trained, each parameter.
        trained: Of the same build.
        decay: 0 to 1.
    """
    for ours, theirs in zip(average.parameters(), trained.parameters(), strict=True):
        ours.lerp_(theirs.to(ours), 1 - decay)
    for ours, theirs in zip(average.buffers(), trained.buffers(), strict=True):
        ours.copy_(theirs)
