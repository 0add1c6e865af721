"""Global context inside a GAN: the hamburger of HamGAN, and the self-attention of SAGAN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.hamgan.blocks import spectral
from subquad.models.hamgan.config import HamGANConfig
from subquad.nn.conditional_norm import ConditionalBatchNorm
from subquad.nn.conv import Pointwise
from subquad.nn.ham import Ham
from subquad.ops import NMF, Solver
from subquad.ops.solver import wants_nonnegative


@dataclass(frozen=True)
class UniformNMF(NMF):
    """NMF from a uniform dictionary whose columns keep their lengths, as HamGAN starts it."""

    def random_dictionary(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw uniformly from 0..1, (..., dim, rank)."""
        return torch.rand(*shape, generator=generator, device=device, dtype=dtype)


class GANHamburger(nn.Module):
    """x + gate * upper_bread(ham(lower_bread(x))), the gate zero at first and no ReLU after it.

    v1 has the norm after the upper bread; v2 has it in a cheese, a third convolution after the ham,
    with a ReLU. The convolutions are pointwise without bias and have spectral norm one, not at most one.

    Args:
        channels: Of the input, of the output and inside.
        rank: Of the dictionary.
        config: For the rest.
        num_classes: Of the norm; None: no norm.

    References:
        Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021.
    """

    def __init__(self, channels: int, rank: int, config: HamGANConfig, num_classes: int | None) -> None:
        super().__init__()
        self.nonnegative = wants_nonnegative(config.solver)
        self.lower_bread = _pointwise(channels, channels)
        self.ham = Ham(channels, rank, **{**config.ham_options, "solver": _starting_uniformly(config.solver)})
        self.cheese = _pointwise(channels, channels) if config.version == "v2" else None
        self.upper_bread = _pointwise(channels, channels)
        self.norm = None if num_classes is None else ConditionalBatchNorm(channels, num_classes)
        self.gate = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Close the gate; all else resets itself."""
        nn.init.zeros_(self.gate)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Add global context to `x` (batch, channels, height, width); `labels` (batch,)."""
        y = self.lower_bread(x)
        y = self.ham(y.relu() if self.nonnegative else y)
        if self.cheese is None:
            y = self._normalised(self.upper_bread(y), labels)
        else:
            y = self.upper_bread(self._normalised(self.cheese(y), labels).relu())
        return x + self.gate * y

    def _normalised(self, y: Tensor, labels: Tensor) -> Tensor:
        return y if self.norm is None else self.norm(y, labels)


class GANAttention(nn.Module):
    """x + gate * out(softmax(query key') value), keys and values max-pooled 2 x 2, the gate zero at first.

    Query and key have an eighth of the channels, the value a half; the logits are not scaled. The
    convolutions are those of `GANHamburger`. It does not look at the labels.

    Args:
        channels: Of the input and the output.

    References:
        Zhang et al., "Self-Attention Generative Adversarial Networks", ICML 2019, section 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query = _pointwise(channels, narrow)
        self.key = _pointwise(channels, narrow)
        self.value = _pointwise(channels, half)
        self.out = _pointwise(half, channels)
        self.gate = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Close the gate; all else resets itself."""
        nn.init.zeros_(self.gate)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Add global context to `x` (batch, channels, height, width); `labels` (batch,)."""
        query = self.query(x).flatten(2).mT  # (batch, positions, narrow)
        key = F.max_pool2d(self.key(x), 2).flatten(2).mT
        value = F.max_pool2d(self.value(x), 2).flatten(2).mT
        mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gate * self.out(mixed.mT.unflatten(2, x.shape[2:]))


def make_context(
    channels: int, rank: int, config: HamGANConfig, *, num_classes: int | None
) -> nn.Module | None:
    """Return the context module of a configuration; None for "none"."""
    if config.context == "hamburger":
        return GANHamburger(channels, rank, config, num_classes)
    return GANAttention(channels) if config.context == "attention" else None


def _pointwise(in_channels: int, out_channels: int) -> Pointwise:
    return spectral(Pointwise(in_channels, out_channels, bias=False), exact=True)


def _starting_uniformly(solver: Solver) -> Solver:
    return UniformNMF(solver.eps) if isinstance(solver, NMF) else solver
