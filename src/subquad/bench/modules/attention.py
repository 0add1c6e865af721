"""Self-attention with a linear map in and one out: fused, with its matrix, and linear in the positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SoftmaxAttention(nn.Module):
    """x + out(softmax(Q K' / sqrt(dim)) V), by PyTorch's fused kernel, which keeps no n x n matrix.

    Args:
        dim: Channels, of queries, keys and values, too: one head.

    References:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, equation 1.
        Wang et al., "Non-local Neural Networks", CVPR 2018, section 3.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query_key_value = nn.Conv2d(dim, 3 * dim, 1, bias=False)
        self.out = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend; (batch, dim, height, width)."""
        # (batch, 1, positions, 3 dim); the fused kernels want the channels of a position side by side.
        rows = self.query_key_value(x).flatten(2).mT.contiguous().unsqueeze(1)
        mixed = self.mix(*rows.chunk(3, dim=-1)).squeeze(1)
        return x + self.out(mixed.mT.reshape(x.shape))

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the weighted values; all are (batch, 1, positions, dim)."""
        return F.scaled_dot_product_attention(query, key, value)


class MatrixAttention(SoftmaxAttention):
    """The same with the n x n matrix written out, as most code of the time of these papers has it."""

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the weighted values."""
        return (query @ key.mT * query.shape[-1] ** -0.5).softmax(dim=-1) @ value


class LinearAttention(SoftmaxAttention):
    """The kernel elu(x) + 1 in place of the exponential: keys meet values first, O(positions).

    References:
        Katharopoulos et al., "Transformers are RNNs", ICML 2020, equations 5 and 7.
    """

    def mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the weighted values."""
        query, key = F.elu(query) + 1, F.elu(key) + 1
        weight = query @ key.sum(dim=-2, keepdim=True).mT
        return query @ (key.mT @ value) / (weight + torch.finfo(weight.dtype).eps)
