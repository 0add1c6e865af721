"""Codes for a dictionary that is given: the half of a decomposition that each position does alone."""

from __future__ import annotations

from torch import Tensor

from subquad.ops.autocast import autocast_off
from subquad.ops.checks import check_data, checked_dictionary
from subquad.ops.decompose import grad_mode, prepared, widened
from subquad.ops.precision import Precision
from subquad.ops.solver import Factors, Solver


def encode(
    x: Tensor,
    dictionary: Tensor,
    solver: Solver,
    *,
    steps: int,
    mask: Tensor | None = None,
    precision: Precision = "float32",
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
        precision: See `decompose`.

    Returns:
        The codes (batch, rank, positions) in float32, or float64 if `x` is.

    Raises:
        ValueError: If shapes, `steps` or the type of `x` or `mask` do not fit, or if bfloat16 would
            not be faster on this device.
    """
    dictionary = checked_dictionary(x, dictionary)
    check_data(x, steps, mask)
    with autocast_off(x):
        x, short = widened(x, precision)
        dictionary = dictionary.to(x.dtype)
        if mask is not None:
            mask = mask.unsqueeze(1)  # (batch, 1, positions)
            x = x.where(mask, 0)  # also keeps NaN of the padding out
        with grad_mode(False):
            problem = prepared(solver, x, mask, short)
            codes = solver.first_codes(problem, dictionary)
            for _ in range(1, steps):
                codes = solver.update_codes(problem, Factors(dictionary, codes))
        return solver.final_codes(problem, Factors(dictionary, codes))
