"""The pyramid that VAN and MSCAN share: convolutional attention blocks in four stages.

Sources: Guo et al., "Visual Attention Network", CVMJ 2023, section 3; Guo et al., "SegNeXt", NeurIPS
2022, section 3.1. The two differ in the kernel of the attention, the stem, and an epsilon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.backbones.base import DropPath
from subquad.nn.reset import start_with

Kernel = Callable[[int], nn.Module]  # from channels to the gate of the attention


@dataclass(frozen=True, kw_only=True)
class PyramidSize:
    """Channels, blocks and MLP ratios of the four stages."""

    channels: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)


class Pyramid(nn.Module):
    """Four stages at strides 4, 8, 16 and 32, or 4, 8, 8 and 8.

    Args:
        size: Of the stages.
        kernel: Makes the gate of the attention.
        stem: From the images to the first stage's channels, at stride 4.
        norm_eps: Of the layer norm that ends each stage.
        drop_path: Rate of the last block; it grows linearly from 0 at the first.
        output_stride: Of the last map: 32, or 8 to keep the last three maps at one size.
    """

    def __init__(
        self,
        size: PyramidSize,
        kernel: Kernel,
        stem: nn.Module,
        *,
        norm_eps: float,
        drop_path: float,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        if output_stride not in (8, 32):
            raise ValueError(f"output_stride of this backbone must be 8 or 32, got {output_stride}.")
        self.channels = size.channels
        strides = (2, 2, 2) if output_stride == 32 else (2, 1, 1)
        embeds = [stem]
        for stage, stride in enumerate(strides, start=1):
            embeds.append(PatchEmbed(size.channels[stage - 1], size.channels[stage], 3, stride))
        last = sum(size.blocks) - 1
        rates = [drop_path * block / last for block in range(last + 1)]
        self.stages = nn.ModuleList()
        for embed, channels, blocks, ratio in zip(
            embeds, size.channels, size.blocks, size.mlp_ratios, strict=True
        ):
            stage_rates, rates = rates[:blocks], rates[blocks:]
            made = [Block(channels, kernel, ratio, rate) for rate in stage_rates]
            self.stages.append(Stage(embed, made, channels, norm_eps))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                start_with(module, _as_the_original)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (batch, in_channels, H, W) to four maps, fine to coarse."""
        maps = []
        x = images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class PatchEmbed(nn.Module):
    """Overlapping patches: a strided convolution and a batch norm."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Stage(nn.Module):
    """Patches, blocks, and a layer norm whose output is also the next stage's input."""

    def __init__(self, embed: nn.Module, blocks: list[Block], channels: int, norm_eps: float) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(channels, eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.embed(x))
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)  # over the channels of each pixel


class Block(nn.Module):
    """Attention and MLP, each normalised before, scaled per channel after, and added."""

    def __init__(self, channels: int, kernel: Kernel, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attention = Attention(channels, kernel)
        self.scale1 = nn.Parameter(torch.empty(channels))
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = MLP(channels, channels * mlp_ratio)
        self.scale2 = nn.Parameter(torch.empty(channels))
        self.drop_path = DropPath(drop_path)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make both scales small; all else resets itself."""
        nn.init.constant_(self.scale1, 1e-2)
        nn.init.constant_(self.scale2, 1e-2)

    def forward(self, x: Tensor) -> Tensor:
        scale1, scale2 = self.scale1[:, None, None], self.scale2[:, None, None]
        x = x + self.drop_path(scale1 * self.attention(self.norm1(x)))
        return x + self.drop_path(scale2 * self.mlp(self.norm2(x)))


class Attention(nn.Module):
    """x + project_out(large_kernel(GELU(project_in(x))))."""

    def __init__(self, channels: int, kernel: Kernel) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, channels, 1)
        self.large_kernel = kernel(channels)
        self.project_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project_out(self.large_kernel(F.gelu(self.project_in(x))))


class MLP(nn.Module):
    """Pointwise expansion, 3 x 3 depthwise, GELU, pointwise reduction."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.reduce = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(F.gelu(self.depthwise(self.expand(x))))


def _as_the_original(conv: nn.Conv2d) -> None:
    """Normal with variance 2 / (kernel area * outputs / groups), biases zero."""
    fan_out = prod(conv.kernel_size) * conv.out_channels // conv.groups
    nn.init.normal_(conv.weight, std=sqrt(2 / fan_out))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
