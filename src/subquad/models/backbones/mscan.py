"""MSCAN: the backbone of SegNeXt (Guo et al., "SegNeXt", NeurIPS 2022, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn

from subquad.models.backbones.pyramid import Pyramid, PyramidSize

# Paper, table 2.
MSCAN_SIZES = {
    "mscan_tiny": PyramidSize(channels=(32, 64, 160, 256), blocks=(3, 3, 5, 2)),
    "mscan_small": PyramidSize(channels=(64, 128, 320, 512), blocks=(2, 2, 4, 2)),
    "mscan_base": PyramidSize(channels=(64, 128, 320, 512), blocks=(3, 3, 12, 3)),
    "mscan_large": PyramidSize(channels=(64, 128, 320, 512), blocks=(3, 5, 27, 3)),
}
STRIPS = (7, 11, 21)


class MSCAN(Pyramid):
    """Four stages at strides 4, 8, 16 and 32.

    Args:
        size: One of `MSCAN_SIZES`.
        in_channels: Of the images.
        drop_path: Rate of the last block; it grows linearly from 0 at the first.
    """

    def __init__(self, size: PyramidSize, *, in_channels: int = 3, drop_path: float = 0.1) -> None:
        stem = Stem(in_channels, size.channels[0])
        super().__init__(size, MultiScaleAttention, stem, norm_eps=1e-5, drop_path=drop_path)


class Stem(nn.Module):
    """Two strided 3 x 3 convolutions."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels // 2),
            nn.GELU(),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.stem(x)


class MultiScaleAttention(nn.Module):
    """Gate x by its neighbourhoods of 5, 11, 15 and 25 pixels: 5 x 5, then pairs of strips (equation 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.strips = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, (1, length), padding=(0, length // 2), groups=channels),
                nn.Conv2d(channels, channels, (length, 1), padding=(length // 2, 0), groups=channels),
            )
            for length in STRIPS
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        local = self.local(x)
        total = local
        for strip in self.strips:
            total = total + strip(local)
        return x * self.mix(total)
