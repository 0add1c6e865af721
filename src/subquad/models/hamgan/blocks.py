"""Residual blocks of generator and discriminator."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from subquad.nn.conditional_norm import ConditionalBatchNorm
from subquad.nn.reset import start_with
from subquad.nn.spectral_norm import spectral_norm

Layer = TypeVar("Layer", bound=nn.Linear | nn.Conv2d | nn.Embedding)


def spectral(layer: Layer, *, exact: bool = False) -> Layer:
    """Return a layer with Glorot-uniform weights and zero biases, under spectral norm."""
    start_with(layer, _glorot)
    return spectral_norm(layer, exact=exact)


def _glorot(layer: nn.Module) -> None:
    normed = parametrize.is_parametrized(layer)
    nn.init.xavier_uniform_(layer.get_parameter("parametrizations.weight.original" if normed else "weight"))
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.get_parameter("bias"))


def conv(in_channels: int, out_channels: int, size: int) -> nn.Conv2d:
    """Return a convolution that keeps height and width, its spectral norm at most one."""
    return spectral(nn.Conv2d(in_channels, out_channels, size, padding=size // 2))


def upsample(x: Tensor) -> Tensor:
    """Repeat each pixel: twice the height, twice the width."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class UpBlock(nn.Module):
    """Norm, ReLU, upsample, conv, norm, ReLU, conv; and a pointwise shortcut.

    The shortcut is upsampled after its convolution: the same values for a quarter of the work.
    """

    def __init__(self, in_channels: int, out_channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm(in_channels, num_classes)
        self.conv1 = conv(in_channels, out_channels, 3)
        self.norm2 = ConditionalBatchNorm(out_channels, num_classes)
        self.conv2 = conv(out_channels, out_channels, 3)
        self.shortcut = conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map (batch, in_channels, side, side) to (batch, out_channels, 2 side, 2 side)."""
        y = self.conv1(upsample(self.norm1(x, labels).relu()))
        y = self.conv2(self.norm2(y, labels).relu())
        return y + upsample(self.shortcut(x))


class DownBlock(nn.Module):
    """ReLU, conv, ReLU, conv, average pool; and a pointwise shortcut, pooled before its convolution.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        first: The input is an image: no ReLU before it.
        halve: Pool; else the side stays, and so does the shortcut if the channels do.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, first: bool = False, halve: bool = True
    ) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.conv1 = conv(in_channels, out_channels, 3)
        self.conv2 = conv(out_channels, out_channels, 3)
        keeps = in_channels == out_channels and not halve
        self.shortcut = nn.Identity() if keeps else conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, side, side) to half the side, or the same one."""
        y = self.conv1(x if self.first else x.relu())
        y = self.conv2(y.relu())
        if self.halve:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return y + self.shortcut(x)
