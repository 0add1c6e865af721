"""The parts that heads are made of."""

from __future__ import annotations

from torch import Tensor, nn

from subquad.nn.conv import make_norm
from subquad.nn.hamburger import Norm
from subquad.nn.reset import start_with


class ConvNormReLU(nn.Module):
    """Convolution without bias that keeps the size, norm, ReLU.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        norm: "batch" or "group" (32 groups).
        kernel_size: Odd.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm, kernel_size: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = make_norm(norm, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, h, w) to (batch, out_channels, h, w)."""
        return self.norm(self.conv(x)).relu()


class AuxiliaryHead(nn.Module):
    """A small head on an earlier map, so that the backbone gets a shorter gradient (mmseg's FCN head).

    Args:
        in_channels: Of the map.
        num_classes: Of the logits.
        dropout: Of whole channels before the classifier.
        channels: Width.
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float, channels: int = 256) -> None:
        super().__init__()
        self.mix = ConvNormReLU(in_channels, channels, "group", kernel_size=3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(channels, num_classes, 1)
        init_head(self, self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, h, w) to logits (batch, num_classes, h, w)."""
        return self.classifier(self.dropout(self.mix(x)))


def init_head(head: nn.Module, *classifiers: nn.Conv2d) -> None:
    """Initialise as the originals' mmseg heads: Kaiming by outputs, small classifiers, zero biases."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            start_with(module, _kaiming)
    for classifier in classifiers:
        start_with(classifier, _small)


def _kaiming(conv: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def _small(classifier: nn.Conv2d) -> None:
    nn.init.normal_(classifier.weight, std=0.01)
    if classifier.bias is not None:
        nn.init.zeros_(classifier.bias)
