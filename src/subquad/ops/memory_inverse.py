"""The inverse that the ridge form of a memory reads with, at the start of a chunk."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops.transforms import is_known


def regularised_inverse(gram: Tensor, ridge: Tensor) -> Tensor:
    """Return (gram + diag ridge)^-1, by Cholesky.

    What is not positive definite, such as NaN, makes nonsense of its own matrix and raises nothing.

    Args:
        gram: Positive semi-definite, (..., size, size).
        ridge: Above 0, (..., size).
    """
    matrix = gram + torch.diag_embed(ridge)
    if torch.compiler.is_exporting():
        return _eliminated(matrix)
    factor, _ = torch.linalg.cholesky_ex(matrix)
    return torch.cholesky_inverse(factor).contiguous()


def renewed_inverse(inverse: Tensor, gram: Tensor, ridge: Tensor, starts: Tensor) -> Tensor:
    """Return the inverse of the chunk that each sample is in: another one where a chunk starts.

    Args:
        inverse: That of the position before, (batch, heads, size, size).
        gram: Of all before the position, of the same shape.
        ridge: (heads, size).
        starts: Whether the position is the first of a chunk, (batch,).
    """

    def renewed(inverse: Tensor, gram: Tensor, ridge: Tensor, starts: Tensor) -> Tensor:
        return regularised_inverse(gram, ridge).where(starts[:, None, None, None], inverse)

    def kept(inverse: Tensor, gram: Tensor, ridge: Tensor, starts: Tensor) -> Tensor:
        return inverse.clone(memory_format=torch.contiguous_format)  # a branch may not return its input

    if torch.compiler.is_exporting():
        return torch.cond(starts.any(), renewed, kept, (inverse, gram, ridge, starts))
    if is_known(starts) and not bool(starts.any()):
        return inverse
    return renewed(inverse, gram, ridge, starts)


def _eliminated(matrix: Tensor) -> Tensor:
    """Return the inverse of a positive definite matrix by Gauss-Jordan elimination, as exact as Cholesky.

    ONNX knows no factorisation. This is made of sums and products alone, one of rank one for each row; scaled
    to a diagonal of ones, no pivot is above 1, and nothing cancels.
    """
    scale = matrix.diagonal(dim1=-2, dim2=-1).rsqrt()
    scale = scale.unsqueeze(-1) * scale.unsqueeze(-2)
    matrix = matrix * scale
    rows = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    for row, one in enumerate(rows.unbind()):
        pivot = matrix[..., row : row + 1, row : row + 1]
        across = (matrix[..., row : row + 1, :] + one) / pivot
        matrix = matrix - (matrix[..., row : row + 1] - one.unsqueeze(-1)) * across
    return matrix * scale
