"""The blocks of VAN and MSCAN for inference: norms and scales are parts of the convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from subquad.models.backbones.pyramid import Block
from subquad.models.folding import affine_of, weights_of, with_weights
from subquad.nn.conv_activation import ConvActivation


class FoldedBlock(nn.Module):
    """The same function as a `Block` in evaluation, of 8 passes over the map instead of 16.

    With n(x) = a x + c for a norm, the first half of a block is::

        x + s (n(x) + out(kernel(GELU(in(n(x)))))) = (1 + s a) x + s c + s out(kernel(GELU((in n)(x))))

    and so a norm is a part of the pointwise convolution that it comes before, a scale of the one that it
    comes behind, and only a factor for each channel is left. The second half has no shortcut of its own.

    Args:
        block: With norms that have statistics; it stays as it is, and its kernel is shared.
    """

    gain: Tensor

    def __init__(self, block: Block) -> None:
        super().__init__()
        a, c = affine_of(block.norm1)
        scale = block.scale1.detach().cpu().double()
        attention, mlp = block.attention, block.mlp
        self.project_in = ConvActivation(_behind_norm(attention.project_in, block.norm1), nn.GELU())
        self.large_kernel = attention.large_kernel
        self.project_out = _scaled(attention.project_out, scale, scale * c)
        self.register_buffer("gain", (1 + scale * a).to(block.scale1)[:, None, None], persistent=False)
        self.expand = _behind_norm(mlp.expand, block.norm2)
        self.depthwise = ConvActivation(mlp.depthwise, nn.GELU())
        self.reduce = _scaled(mlp.reduce, block.scale2.detach().cpu().double())

    @staticmethod
    def takes(block: nn.Module) -> bool:
        """Say whether a module is a block whose norms are fixed scales and shifts."""
        return isinstance(block, Block) and all(
            type(norm) is nn.BatchNorm2d and norm.running_mean is not None
            for norm in (block.norm1, block.norm2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = torch.addcmul(self.project_out(self.large_kernel(self.project_in(x))), x, self.gain)
        return x + self.reduce(self.depthwise(self.expand(x)))


@torch.no_grad()
def _behind_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return a pointwise convolution that has the norm before it inside."""
    scale, shift = affine_of(norm)
    weight, bias = weights_of(conv)
    return with_weights(conv, weight * scale[:, None, None], bias + weight.flatten(1) @ shift)


@torch.no_grad()
def _scaled(conv: nn.Conv2d, scale: Tensor, shift: Tensor | float = 0.0) -> nn.Conv2d:
    """Return a convolution with its outputs scaled, then shifted."""
    weight, bias = weights_of(conv)
    return with_weights(conv, weight * scale[:, None, None, None], bias * scale + shift)
