"""What a decomposition is given, looked at before anything is computed."""

from __future__ import annotations

import reprlib

import torch
from torch import Tensor

SOLVER_METHODS = (
    "random_dictionary",
    "admissible",
    "prepare",
    "first_codes",
    "update_codes",
    "update_dictionary",
    "final_codes",
)


def check_is_solver(solver: object) -> None:
    """Raise ValueError if this is no value with all methods of `subquad.ops.Solver`."""
    if isinstance(solver, type) and not missing_methods(solver):
        raise ValueError(f"a solver is a value, got the class {solver.__name__}; give {solver.__name__}().")
    if isinstance(solver, str):
        raise ValueError(
            f"a solver is a value such as NMF(), got the text {reprlib.repr(solver)}; only configurations "
            f"take names."
        )
    missing = missing_methods(solver)
    if missing:
        raise ValueError(
            f"a solver has all methods of subquad.ops.Solver; {reprlib.repr(solver)} has no "
            f"{', '.join(missing)}."
        )


def missing_methods(solver: object) -> list[str]:
    """Return which methods of `subquad.ops.Solver` a value or a class lacks, or only inherits empty."""
    empty = getattr(solver, "__abstractmethods__", ())
    return [name for name in SOLVER_METHODS if name in empty or not callable(getattr(solver, name, None))]


def checked_dictionary(x: Tensor, dictionary: Tensor) -> Tensor:
    """Return the start dictionary as (batch, dim, rank)."""
    if x.dim() != 3:
        raise ValueError(
            f"x must be (batch, dim, positions), got {tuple(x.shape)}; flatten its positions first."
        )
    if dictionary.dim() == 2:
        dictionary = dictionary.unsqueeze(0)
    fits = dictionary.dim() == 3 and dictionary.shape[0] in (1, x.shape[0])
    if not fits or dictionary.shape[1] != x.shape[1]:
        raise ValueError(
            f"the dictionary must be (batch, dim, rank) with the batch and dim of x "
            f"{tuple(x.shape)}, got {tuple(dictionary.shape)}."
        )
    return dictionary.expand(x.shape[0], -1, -1)


def check_data(x: Tensor, steps: int, mask: Tensor | None) -> None:
    """Raise ValueError if the type of `x`, the number of steps or the mask does not fit."""
    if not x.is_floating_point():
        raise ValueError(f"x must be of a floating point type, got {x.dtype}; use x.float().")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}.")
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean (True where a position counts), got {mask.dtype}.")
    if mask.shape != (x.shape[0], x.shape[2]):
        raise ValueError(
            f"mask must be (batch, positions) = {(x.shape[0], x.shape[2])}, got {tuple(mask.shape)}."
        )
