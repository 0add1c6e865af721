"""A convolution and the activation behind it, in one pass over the map where the machine can."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from subquad.ops.transforms import is_dual

# What oneDNN applies to each value before it is written: name, numbers, variant.
ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float], str]] = {
    nn.GELU: ("gelu", [], "none"),
    nn.ReLU: ("relu", [], ""),
    nn.ReLU6: ("hardtanh", [0.0, 6.0], ""),
    nn.SiLU: ("swish", [], ""),
    nn.Hardswish: ("hardswish", [], ""),
}


class ConvActivation(nn.Conv2d):
    """A convolution followed by an activation, for inference.

    On a CPU and without a graph, the library that convolves also applies the activation, while the values
    are still in the cache: a GELU behind a depthwise convolution takes a quarter of the time. Elsewhere
    the two run one after the other.

    Args:
        conv: Its weight and bias are taken over, not copied.
        activation: One of those that `takes` knows.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        nn.Module.__init__(self)  # a convolution's own would draw weights
        self.__dict__.update({name: value for name, value in vars(conv).items() if name not in vars(self)})
        self.weight, self.bias = conv.weight, conv.bias
        self.activation = activation

    @staticmethod
    def takes(conv: nn.Module, activation: nn.Module) -> bool:
        """Say whether the two can become one."""
        is_exact = getattr(activation, "approximate", "none") == "none"
        return (
            type(conv) is nn.Conv2d
            and type(activation) in ACTIVATIONS
            and is_exact
            and conv.padding_mode == "zeros"
            and not isinstance(conv.padding, str)
        )

    def forward(self, input: Tensor) -> Tensor:
        """Map (batch, in_channels, h, w) as the two one after the other."""
        if not _is_fused(input) or is_dual(input):
            return self.activation(super().forward(input))
        name, numbers, variant = ACTIVATIONS[type(self.activation)]
        convolve: Any = torch.ops.mkldnn._convolution_pointwise
        return convolve(
            input, self.weight, self.bias, list(self.padding), list(self.stride), list(self.dilation),
            self.groups, name, numbers, variant,
        )  # fmt: skip


def _is_fused(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # which fuses by itself, and an export keeps what all know
        and torch.backends.mkldnn.enabled
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )
