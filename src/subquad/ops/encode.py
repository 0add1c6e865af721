"""Codes for a dictionary that is given: the half of a decomposition that each position does alone."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops.decompose import Factors, Solver, autocast_off, check_data, checked_dictionary, grad_mode


def encode(
    x: Tensor,
    dictionary: Tensor,
    solver: Solver,
    *,
    steps: int,
    mask: Tensor | None = None,
) -> Tensor:
    """Find the codes of `x` for a dictionary that is held fixed.

    As `decompose` without the updates of the dictionary. What a position gets depends on its own
    column alone, so the parts of an image that are encoded one by one fit together; only NMF's unit
    (see `Problem`) is that of all of `x`, and it is 1 for ordinary data.

    The gradient is the one-step gradient: it flows through the last update.

    Args:
        x: The data, (batch, dim, positions).
        dictionary: Such as `decompose` found, (batch, dim, rank), or (dim, rank) for all samples.
        solver: `NMF`, `VQ`, `CD`, or any value that follows the `Solver` protocol.
        steps: Number of code updates, at least 1. One more follows them.
        mask: True where a position counts, (batch, positions); the codes of the others are zero.

    Returns:
        The codes (batch, rank, positions) in float32, or float64 if `x` is.

    Raises:
        ValueError: If shapes, `steps` or the type of `x` or `mask` do not fit.
    """
    dictionary = checked_dictionary(x, dictionary)
    check_data(x, steps, mask)
    precision = torch.float64 if x.dtype == torch.float64 else torch.float32
    with autocast_off(x):
        x, dictionary = x.to(precision), dictionary.to(precision)
        if mask is not None:
            mask = mask.unsqueeze(1)  # (batch, 1, positions)
            x = x.where(mask, 0)  # also keeps NaN of the padding out
        with grad_mode(False):
            problem = solver.prepare(x, mask)
            codes = solver.first_codes(problem, dictionary)
            for _ in range(1, steps):
                codes = solver.update_codes(problem, Factors(dictionary, codes))
        return solver.final_codes(problem, Factors(dictionary, codes))
