"""VAN: the visual attention network (Guo et al., "Visual Attention Network", CVMJ 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from subquad.models.backbones.pyramid import PatchEmbed, Pyramid, PyramidSize
from subquad.nn.dilated import DepthwiseByPhases

# Paper, table 2.
VAN_SIZES = {
    "van_tiny": PyramidSize(channels=(32, 64, 160, 256), blocks=(3, 3, 5, 2)),
    "van_small": PyramidSize(channels=(64, 128, 320, 512), blocks=(2, 2, 4, 2)),
    "van_base": PyramidSize(channels=(64, 128, 320, 512), blocks=(3, 3, 12, 3)),
    "van_large": PyramidSize(channels=(64, 128, 320, 512), blocks=(3, 5, 27, 3)),
    "van_huge": PyramidSize(channels=(64, 128, 320, 512), blocks=(3, 6, 40, 3)),
}


class VAN(Pyramid):
    """Four stages at strides 4, 8, 16 and 32, or 4, 8, 8 and 8.

    Args:
        size: One of `VAN_SIZES`.
        in_channels: Of the images.
        drop_path: Rate of the last block; it grows linearly from 0 at the first.
        output_stride: Of the last map, 32 or 8.
    """

    def __init__(
        self, size: PyramidSize, *, in_channels: int = 3, drop_path: float = 0.1, output_stride: int = 32
    ) -> None:
        super().__init__(
            size,
            LargeKernelAttention,
            PatchEmbed(in_channels, size.channels[0], 7, 4),
            norm_eps=1e-6,
            drop_path=drop_path,
            output_stride=output_stride,
        )


class LargeKernelAttention(nn.Module):
    """Gate x by a 21 x 21 neighbourhood: 5 x 5, then 7 x 7 with dilation 3, then 1 x 1 (section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.dilated = DilatedDepthwise(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mix(self.dilated(self.local(x)))


class DilatedDepthwise(DepthwiseByPhases):
    """A dilated depthwise convolution that is computed by phases on a CPU, and trains in float32 there.

    PyTorch's bfloat16 backward of the dilated one now and then returns weight gradients of 1e28
    (seen with torch 2.15 on processors with AVX-512 bf16), which turns training into NaN.
    """

    def forward(self, input: Tensor) -> Tensor:
        half = input.dtype in (torch.bfloat16, torch.float16) or torch.is_autocast_enabled("cpu")
        if input.device.type != "cpu" or not half or not torch.is_grad_enabled():
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return self._conv_forward(input.float(), self.weight.float(), bias).to(input.dtype)
