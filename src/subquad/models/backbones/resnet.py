"""ResNet with a deep stem, dilated instead of strided (He et al., CVPR 2016; Chen et al., DeepLab v3).

Two variants of the originals: "_voc" has a stem of 64, 64 and 128 channels and a multi-grid last
stage; "_v1c" has a stem of 32, 32 and 64 channels and no multi-grid.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from subquad.nn.reset import start_with

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ResNetSize:
    """Blocks of the four stages, channels of the stem, factors of the last stage's dilation.

    Attributes:
        blocks: Of each stage.
        stem: Channels of the three convolutions.
        grid: Multiplies the dilation of the last stage's blocks after the first; empty for none.
    """

    blocks: tuple[int, int, int, int]
    stem: tuple[int, int, int]
    grid: tuple[int, ...] = ()


_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
RESNET_SIZES = {
    f"{name}_voc": ResNetSize(blocks=blocks, stem=(64, 64, 128), grid=(2, 4))
    for name, blocks in _BLOCKS.items()
} | {f"{name}_v1c": ResNetSize(blocks=blocks, stem=(32, 32, 64)) for name, blocks in _BLOCKS.items()}


class ResNet(nn.Module):
    """Four stages of bottlenecks, with 256, 512, 1024 and 2048 channels.

    Args:
        size: One of `RESNET_SIZES`.
        in_channels: Of the images.
        output_stride: Of the last map: 8 or 16; strides beyond become dilations.
    """

    channels = (256, 512, 1024, 2048)

    def __init__(self, size: ResNetSize, *, in_channels: int = 3, output_stride: int = 8) -> None:
        super().__init__()
        first, second, third = size.stem
        self.stem = nn.Sequential(
            *_conv_norm_relu(in_channels, first, stride=2),
            *_conv_norm_relu(first, second),
            *_conv_norm_relu(second, third),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleList()
        width = third
        strides, dilations = _strides_and_dilations(size, output_stride)
        for channels, stride, stage_dilations in zip(self.channels, strides, dilations, strict=True):
            blocks = []
            for dilation in stage_dilations:
                blocks.append(Bottleneck(width, channels, stride, dilation))
                width, stride = channels, 1
            self.stages.append(nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                start_with(module, _kaiming)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (batch, in_channels, H, W) to four maps, fine to coarse."""
        maps = []
        x = self.pool(self.stem(images))
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 with stride and dilation, 1 x 1; each followed by batch norm."""

    def __init__(self, in_channels: int, channels: int, stride: int, dilation: int) -> None:
        super().__init__()
        width = channels // 4
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = (
            nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
            if stride != 1 or in_channels != channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + shortcut).relu()


def _strides_and_dilations(
    size: ResNetSize, output_stride: int
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return the stride of each stage and the dilation of each of its blocks.

    The first block of a dilated stage keeps the dilation of the stage before: its input still has
    the spacing it was trained for.
    """
    if output_stride not in (8, 16):
        raise ValueError(f"output_stride of a ResNet must be 8 or 16, got {output_stride}.")
    third, fourth = (2, 4) if output_stride == 8 else (1, 2)
    strides = (1, 2, 1 if output_stride == 8 else 2, 1)
    plain = [(1,) * blocks for blocks in size.blocks[:2]]
    rest = size.blocks[3] - 1
    grid = size.grid or (1,) * rest
    return strides, (
        *plain,
        (1, *(third,) * (size.blocks[2] - 1)),
        (third, *(fourth * factor for factor in grid)),
    )


def _conv_norm_relu(in_channels: int, out_channels: int, stride: int = 1) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
    return conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)


def _kaiming(conv: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
