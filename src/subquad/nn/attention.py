"""Rivals of the ham, to be put in its place."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from subquad.nn.conv import Pointwise
from subquad.nn.precision import in_range


class SelfAttention(nn.Module):
    """Softmax attention over all positions, O(positions^2), in PyTorch's fused form.

    Args:
        dim: Channels of the input and the output.
        heads: Must divide `dim`.
    """

    def __init__(self, dim: int, heads: int = 1) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(f"heads must divide dim, got {heads} heads for dim {dim}.")
        self.heads = heads
        self.query_key_value = Pointwise(dim, 3 * dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend; `x` `(batch, dim, *spatial)`, `mask` `(batch, *spatial)` True where a position counts."""
        if mask is not None:
            x = x.where(mask.unsqueeze(1), 0)
        # A position's channels side by side: else no fused kernel is taken, and the n x n matrix written out.
        tokens = in_range(self.query_key_value(x)).flatten(2).mT.contiguous()
        # Each is (batch, heads, positions, dim // heads).
        query, key, value = tokens.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        allowed = None if mask is None else mask.flatten(1)[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        mixed = mixed.mT.flatten(1, 2).unflatten(2, x.shape[2:])
        return mixed if mask is None else mixed.where(mask.unsqueeze(1), 0)


class NoContext(nn.Module):
    """Nothing in the ham's place: what the block does without global context."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return `x`, zero where masked."""
        return x if mask is None else x.where(mask.unsqueeze(1), 0)
