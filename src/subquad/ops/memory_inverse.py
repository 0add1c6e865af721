"""The inverse that the ridge form of a memory reads with, at the start of a chunk."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops.transforms import is_known


def regularised_inverse(gram: Tensor, ridge: Tensor) -> Tensor:
    """Return (gram + diag ridge)^-1, by Cholesky.

    Where rounding left a matrix that is not positive definite, as in float32 some 10,000 times the same key
    do in a memory that forgets none, the inverse of its diagonal bound, the trace of `gram` plus the ridge.
    Nothing is raised, and NaN stays in its own matrix.

    Args:
        gram: Positive semi-definite, (..., size, size).
        ridge: Above 0, (..., size).
    """
    matrix = gram + torch.diag_embed(ridge)
    bound = torch.diag_embed(ridge + gram.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True))
    if torch.compiler.is_exporting():
        return _eliminated(matrix, bound)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not (is_known(matrix) and matrix.is_cpu) or bool(failed.any()):
        matrix = matrix.where((failed == 0)[..., None, None], bound)
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


def _eliminated(matrix: Tensor, bound: Tensor) -> Tensor:
    """Return the inverse by Gauss-Jordan elimination, as exact as by Cholesky; of the bound where it fails.

    ONNX knows no factorisation. This is made of sums and products alone, one of rank one for each row; scaled
    to a diagonal of ones, no pivot is above 1, and nothing cancels.
    """
    scale = matrix.diagonal(dim1=-2, dim2=-1).rsqrt()
    scale = scale.unsqueeze(-1) * scale.unsqueeze(-2)
    inverse, least = matrix * scale, torch.ones_like(matrix[..., :1, :1])
    rows = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    for row, one in enumerate(rows.unbind()):
        pivot = inverse[..., row : row + 1, row : row + 1]  # the square of Cholesky's, but for the scale
        least = torch.minimum(least, pivot)
        across = (inverse[..., row : row + 1, :] + one) / pivot
        inverse = inverse - (inverse[..., row : row + 1] - one.unsqueeze(-1)) * across
    return (inverse * scale).where(least > 0, rows / bound.where(rows > 0, 1))
