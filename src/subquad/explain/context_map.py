"""What one position has to do with the others: the columns it is made of, and where else they are."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops import Factors


def column_shares(factors: Factors, position: int) -> Tensor:
    """Say how much each dictionary column adds to a position.

    Columns and codes have no scale of their own, only their products have; so the length of what a
    column adds is compared, |d_r| |c_rp|.

    Args:
        factors: Of one image, as `Ham.factorize` returns them.
        position: Index among the positions.

    Returns:
        Shares that sum to one, (heads * rank,); all zero if nothing is added.
    """
    lengths = torch.linalg.vector_norm(factors.dictionary, dim=1) * factors.codes[:, :, position].abs()
    return (lengths / lengths.sum().clamp_min(1e-30)).flatten()


def column_strengths(factors: Factors) -> Tensor:
    """Say how much each dictionary column adds to all positions together, the sum of |d_r| |c_rq| over q.

    Args:
        factors: As above.

    Returns:
        Shares that sum to one, (heads * rank,); all zero if nothing is added.
    """
    lengths = torch.linalg.vector_norm(factors.dictionary, dim=1) * factors.codes.abs().sum(dim=2)
    return (lengths / lengths.sum().clamp_min(1e-30)).flatten()


def column_map(factors: Factors, column: int) -> Tensor:
    """Return how much a dictionary column adds to each position, |d_r| |c_rq|, (positions,).

    Args:
        factors: As above.
        column: Index among the heads * rank columns.
    """
    rank = factors.codes.shape[1]
    dictionary, codes = factors.dictionary[column // rank], factors.codes[column // rank]
    return torch.linalg.vector_norm(dictionary[:, column % rank]) * codes[column % rank].abs()


def context_map(factors: Factors, position: int) -> Tensor:
    """Say how like a position all positions are after the decomposition: its context.

    It is the cosine between the reconstructions D c_p and D c_q. They are compared by the codes and the
    products D'D of the columns, rank x rank; no reconstruction is made.

    Args:
        factors: Of one image, as `Ham.factorize` returns them; all heads count as one.
        position: p, an index among the positions.

    Returns:
        (positions,) in -1..1; 0 where a position has no length. Of NMF it is 0 at least.
    """
    dictionary, codes = factors
    seen = (dictionary.mT @ dictionary) @ codes  # (heads, rank, positions)
    products = torch.einsum("hr,hrn->n", codes[:, :, position], seen)
    lengths = torch.einsum("hrn,hrn->n", codes, seen).clamp_min(0).sqrt()
    scale = lengths * lengths[position]
    return torch.where(scale > 0, products / scale.clamp_min(1e-30), 0.0).clamp(-1, 1)
