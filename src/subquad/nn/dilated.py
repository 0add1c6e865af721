"""Dilated depthwise convolutions on a CPU: as plain ones, of the phases of a map."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DepthwiseByPhases(nn.Conv2d):
    """A dilated depthwise convolution that `has_phases`, computed by them where that gains."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if gains_by_phases(input):
            return convolve_phases(input, weight, bias, self.dilation[0])
        return super()._conv_forward(input, weight, bias)


def has_phases(conv: nn.Conv2d) -> bool:
    """Say whether a convolution is depthwise and dilated, such that `convolve_phases` gives the same."""
    across = conv.dilation[0]
    keeping = tuple(across * (side // 2) for side in conv.kernel_size)  # the size, of odd kernels
    return (
        conv.groups == conv.in_channels
        and across > 1
        and conv.dilation == (across, across)
        and conv.stride == (1, 1)
        and conv.padding_mode == "zeros"
        and conv.padding == keeping
        and all(side % 2 for side in conv.kernel_size)
    )


def gains_by_phases(x: Tensor) -> bool:
    """Say whether a map lies such that its phases are convolved faster than it is: channels last, on a CPU.

    An export keeps the operator that other runtimes know.
    """
    # By its strides: what is mapped over by vmap cannot be asked for its memory format.
    return (
        x.device.type == "cpu"
        and x.dim() == 4
        and x.stride(1) == 1
        and not x.is_contiguous()
        and not torch.compiler.is_exporting()
    )


def convolve_phases(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """Return a dilated depthwise convolution of odd kernels that keeps the size.

    With dilation d, positions that differ by no multiple of d never meet. So the map falls apart into
    d x d coarser ones, its phases, and a plain convolution of each is the same sum in the same order.
    PyTorch's CPU library has a fast kernel for plain depthwise convolutions alone, and computes dilated
    ones as dense blocks of 16 channels: five to six times the time with what the phases cost.

    Args:
        x: (batch, channels, height, width).
        weight: (outputs, 1, kernel, kernel), `outputs` a multiple of the channels.
        bias: (outputs,) or None.
        dilation: In both directions.
    """
    batch, channels, height, width = x.shape
    x = F.pad(x, (0, -width % dilation, 0, -height % dilation))
    rows, columns = x.shape[2] // dilation, x.shape[3] // dilation
    phases = x.movedim(1, -1).unflatten(2, (columns, dilation)).unflatten(1, (rows, dilation))
    phases = phases.permute(0, 2, 4, 1, 3, 5).reshape(-1, rows, columns, channels).movedim(-1, 1)
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    phases = F.conv2d(phases, weight, bias, padding=padding, groups=channels)
    phases = phases.movedim(1, -1).unflatten(0, (batch, dilation, dilation)).permute(0, 3, 1, 4, 2, 5)
    whole = phases.reshape(batch, rows * dilation, columns * dilation, -1)
    return whole[:, :height, :width].movedim(-1, 1).contiguous(memory_format=torch.channels_last)
