"""How much of a decomposition is left out, and how many directions it takes: residual, spectrum, rank."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops import Factors


def residual_of(features: Tensor, factors: Factors) -> Tensor:
    """Return E = X - D C, what the decomposition leaves out, (heads, dim, positions).

    Args:
        features: X, of the same shape.
        factors: Of X.
    """
    return features - factors.reconstruct()


def relative_residual(features: Tensor, factors: Factors) -> float:
    """Return |X - D C| / |X| by the lengths of Frobenius; 0 if X is zero and nothing is left out.

    Args:
        features: As above.
        factors: As above.
    """
    whole = float(torch.linalg.vector_norm(features.double()))
    left = float(torch.linalg.vector_norm(residual_of(features, factors).double()))
    return left / whole if whole > 0 else float(left > 0)


def lengths_at(parts: Tensor) -> Tensor:
    """Return how long what is at each position is, (positions,).

    Args:
        parts: Such as X, D C or E, (heads, dim, positions).
    """
    return torch.linalg.vector_norm(parts.flatten(0, 1), dim=0)


def singular_values(features: Tensor) -> Tensor:
    """Return the singular values of X, all heads' channels below each other, the largest first.

    Args:
        features: (heads, dim, positions).

    Returns:
        float64 (min(heads * dim, positions),).
    """
    return torch.linalg.svdvals(_short(features.flatten(0, 1).double()))


def singular_values_of_product(factors: Factors) -> Tensor:
    """Return the singular values of D C, all heads below each other, without those that are zero anyway.

    Args:
        factors: The dictionary (heads, dim, rank), the codes (heads, rank, positions).

    Returns:
        float64, at most (heads * rank,).
    """
    # D C = Q R C, and Q keeps lengths. Heads share no channel, so all of D is block-diagonal.
    narrow = [torch.linalg.qr(dictionary, mode="r").R for dictionary in factors.dictionary.double().unbind()]
    weighed = [r @ codes for r, codes in zip(narrow, factors.codes.double().unbind(), strict=True)]
    return torch.linalg.svdvals(_short(torch.cat(weighed)))


def energy_shares(values: Tensor) -> Tensor:
    """Return the share of each singular value's square in the sum of squares; zero if all are.

    Args:
        values: Singular values.
    """
    squares = values.square()
    return squares / squares.sum().clamp_min(torch.finfo(squares.dtype).tiny)


def effective_rank(values: Tensor) -> float:
    """Return the effective rank: the exponential of the entropy of the singular values' shares.

    It is 1 for a matrix of rank 1, n for n equal singular values, and 0 for a zero matrix.

    Args:
        values: Singular values, at least 0.

    References:
        Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    total = float(values.sum())
    if not total > 0:
        return 0.0
    return float(torch.special.entr(values / total).sum().exp())


def principal_colors(features: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Paint X and something like it by the three directions in which X differs most among positions.

    Both are painted on the same scale: like colours are like features, black to white covers X from its
    2nd to its 98th percentile in each direction.

    Args:
        features: X, (heads, dim, positions).
        others: Such as D C, of the same shape.

    Returns:
        Two of 0..1, (positions, 3): red, green and blue.
    """
    x, y = (part.flatten(0, 1).double() for part in (features, others))
    middle = x.mean(dim=1, keepdim=True)
    # Three of at most dim directions, which are far fewer numbers than X.
    _, vectors = torch.linalg.eigh((x - middle) @ (x - middle).mT)
    directions = vectors[:, -3:].flip(1)
    # A direction has no sign of its own: that of its largest entry is taken.
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    directions = directions * torch.where(largest < 0, -1.0, 1.0)
    places = [(directions.mT @ (part - middle)).mT for part in (x, y)]  # (positions, up to 3)
    low, high = (_percentile(places[0], share) for share in (0.02, 0.98))
    scale = (high - low).clamp_min(1e-30)
    first, second = (((place - low) / scale).clamp(0, 1) for place in places)
    missing = 3 - first.shape[1]  # of fewer than three channels
    pad = torch.nn.functional.pad
    return pad(first, (0, missing)), pad(second, (0, missing))


def _percentile(places: Tensor, share: float) -> Tensor:
    """Return a percentile of each column; `torch.quantile` takes no more than 16 million numbers."""
    ranked = places.sort(dim=0).values
    return ranked[round(share * (len(ranked) - 1))]


def _short(matrix: Tensor) -> Tensor:
    """Return a square matrix of the same singular values, as far as they need not be zero."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.mT
    return torch.linalg.qr(tall, mode="r").R
