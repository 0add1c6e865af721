"""SAME padding without arithmetic on sizes, for images whose sides every stride divides."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ConstantSameConv2d(nn.Conv2d):
    """A convolution that is padded as TensorFlow's SAME pads sides that the stride divides.

    SAME depends on the size: of an odd side both ends get zeros, of an even one the far end alone, which
    shifts the maps of one image against those of another, and fills a graph traced for any size with
    arithmetic. Here each end has a constant number of zeros; the far end has some that are never read,
    so that the map has ceil(side / stride) positions for every side.

    Args:
        conv: With SAME padding; its parameters are shared.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(1, 1, conv.kernel_size)  # pyright: ignore[reportArgumentType]
        self.in_channels, self.out_channels, self.groups = conv.in_channels, conv.out_channels, conv.groups
        self.stride, self.dilation = conv.stride, conv.dilation
        self.weight, self.bias = conv.weight, conv.bias
        self.zeros: tuple[int, ...] = ()  # left, right, top, bottom
        for length, stride, dilation in zip(self.kernel_size, self.stride, self.dilation, strict=True):
            reach = (length - 1) * dilation
            near = max(reach + 1 - stride, 0) // 2
            self.zeros = (near, reach - near, *self.zeros)

    def forward(self, input: Tensor) -> Tensor:
        """Map (batch, in_channels, H, W) to (batch, out_channels, ceil(H / stride), ceil(W / stride))."""
        padded = F.pad(input, self.zeros)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def make_same_padding_constant(network: nn.Module) -> None:
    """Put `ConstantSameConv2d` in the place of timm's convolutions with SAME padding.

    NASNet and PNASNet keep theirs: their first convolution has no padding, so that their strides meet
    sides that they do not divide, whatever the image.
    """
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame

    if any(isinstance(layer, AvgPool2dSame | MaxPool2dSame) for layer in network.modules()):
        return
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d) and type(layer) is Conv2dSame:
                setattr(parent, name, ConstantSameConv2d(layer))
