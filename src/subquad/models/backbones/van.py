"""VAN: the visual attention network (Guo et al., "Visual Attention Network", CVMJ 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.backbones.base import DropPath


@dataclass(frozen=True, kw_only=True)
class VANSize:
    """Channels, blocks and MLP ratios of the four stages (paper, table 2)."""

    channels: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)


VAN_SIZES = {
    "van_tiny": VANSize(channels=(32, 64, 160, 256), blocks=(3, 3, 5, 2)),
    "van_small": VANSize(channels=(64, 128, 320, 512), blocks=(2, 2, 4, 2)),
    "van_base": VANSize(channels=(64, 128, 320, 512), blocks=(3, 3, 12, 3)),
    "van_large": VANSize(channels=(64, 128, 320, 512), blocks=(3, 5, 27, 3)),
    "van_huge": VANSize(channels=(64, 128, 320, 512), blocks=(3, 6, 40, 3)),
}


class VAN(nn.Module):
    """Four stages at strides 4, 8, 16 and 32.

    Args:
        size: One of `VAN_SIZES`.
        in_channels: Of the images.
        drop_path: Rate of the last block; it grows linearly from 0 at the first.
    """

    def __init__(self, size: VANSize, *, in_channels: int = 3, drop_path: float = 0.1) -> None:
        super().__init__()
        self.channels = size.channels
        last = sum(size.blocks) - 1
        rates = [drop_path * block / last for block in range(last + 1)]
        self.stages = nn.ModuleList()
        for index, (channels, blocks, ratio) in enumerate(
            zip(size.channels, size.blocks, size.mlp_ratios, strict=True)
        ):
            kernel, stride = (7, 4) if index == 0 else (3, 2)
            embed = PatchEmbed(in_channels, channels, kernel, stride)
            stage_rates, rates = rates[:blocks], rates[blocks:]
            self.stages.append(Stage(embed, [Block(channels, ratio, rate) for rate in stage_rates]))
            in_channels = channels
        self.apply(_init_weights)

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

    def __init__(self, embed: PatchEmbed, blocks: list[Block]) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(embed.conv.out_channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.embed(x))
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)  # over the channels of each pixel


class Block(nn.Module):
    """Attention and MLP, each normalised before, scaled per channel after, and added."""

    def __init__(self, channels: int, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attention = Attention(channels)
        self.scale1 = nn.Parameter(torch.full((channels,), 1e-2))
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = MLP(channels, channels * mlp_ratio)
        self.scale2 = nn.Parameter(torch.full((channels,), 1e-2))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        scale1, scale2 = self.scale1[:, None, None], self.scale2[:, None, None]
        x = x + self.drop_path(scale1 * self.attention(self.norm1(x)))
        return x + self.drop_path(scale2 * self.mlp(self.norm2(x)))


class Attention(nn.Module):
    """x + project_out(large_kernel(GELU(project_in(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, channels, 1)
        self.large_kernel = LargeKernelAttention(channels)
        self.project_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project_out(self.large_kernel(F.gelu(self.project_in(x))))


class LargeKernelAttention(nn.Module):
    """Gate x by a 21 x 21 neighbourhood: 5 x 5, then 7 x 7 with dilation 3, then 1 x 1 (section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.dilated = DilatedDepthwise(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mix(self.dilated(self.local(x)))


class DilatedDepthwise(nn.Conv2d):
    """A depthwise convolution that stays in float32 on a CPU.

    PyTorch's bfloat16 backward of this one shape now and then returns weight gradients of 1e28
    (seen with torch 2.15 on processors with AVX-512 bf16), which turns training into NaN.
    """

    def forward(self, input: Tensor) -> Tensor:
        half = input.dtype in (torch.bfloat16, torch.float16) or torch.is_autocast_enabled("cpu")
        if input.device.type != "cpu" or not half:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return self._conv_forward(input.float(), self.weight.float(), bias).to(input.dtype)


class MLP(nn.Module):
    """Pointwise expansion, 3 x 3 depthwise, GELU, pointwise reduction."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.reduce = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(F.gelu(self.depthwise(self.expand(x))))


def _init_weights(module: nn.Module) -> None:
    """Normal with variance 2 / (kernel area * outputs / groups), biases zero, as the original."""
    if isinstance(module, nn.Conv2d):
        fan_out = prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=sqrt(2 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
