"""conv_tiny: a small backbone that is blind beyond 31 pixels, to show what global context adds."""

from __future__ import annotations

from torch import Tensor, nn


class ConvTiny(nn.Module):
    """Three maps at stride 4 that see 15, 23 and 31 pixels.

    Only convolutions and batch norm: nothing else may carry information across the image, so a
    group norm, whose statistics are global, would spoil the point.

    Args:
        in_channels: Of the images.
        width: Channels of the three maps.
    """

    def __init__(self, *, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.channels = (width, width, width)
        self.stem = nn.Sequential(  # sees 7 pixels
            _conv(in_channels, width // 2, stride=2), _conv(width // 2, width, stride=2)
        )
        self.stages = nn.ModuleList(_Residual(width) for _ in self.channels)  # each sees 8 more

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (batch, in_channels, H, W) to three maps (batch, width, H / 4, W / 4)."""
        maps = []
        x = self.stem(images)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = _conv(width, width)
        self.pointwise = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.pointwise(self.spatial(x))).relu()


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
