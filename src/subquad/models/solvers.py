"""Solvers as values that are checked, and their JSON form."""

from __future__ import annotations

import dataclasses
from typing import Any

from subquad.base.limits import HYPER_PARAMETERS
from subquad.base.suggest import did_you_mean
from subquad.models.fields import check_range, fit_fields, shown
from subquad.ops import CD, NMF, VQ, Solver

SOLVERS: dict[str, type[Any]] = {"NMF": NMF, "VQ": VQ, "CD": CD}


def check_known_solver(solver: Solver) -> None:
    """Raise ValueError if a hyper-parameter is no number in the range that float32 can work with."""
    if not isinstance(solver, Solver):
        raise ValueError(f"solver must be NMF, VQ or CD, got {shown(solver)}.")
    ours = next((kind for kind in SOLVERS.values() if isinstance(solver, kind)), None)
    if ours is not None:
        fit_fields(solver)
        check_range(solver, *HYPER_PARAMETERS, *(f.name for f in dataclasses.fields(ours)))


def solver_to_json(solver: Solver) -> dict[str, Any]:
    """Return {"type": "NMF", "eps": ...} and so on.

    Raises:
        ValueError: If the solver is not one of ours: a file could not bring its code along.
    """
    name = type(solver).__name__
    if SOLVERS.get(name) is not type(solver):
        raise ValueError(f"only NMF, VQ and CD can be stored, got {solver!r}.")
    return {
        "type": name,
        **{f.name: getattr(solver, f.name) for f in dataclasses.fields(SOLVERS[name])},
    }


def solver_from_json(value: dict[str, Any]) -> Solver:
    """Inverse of `solver_to_json`.

    Raises:
        ValueError: If the type is unknown or a hyper-parameter is.
    """
    if not isinstance(value, dict):
        raise ValueError(f"a solver has a type and hyper-parameters, got {shown(value)}.")
    options = dict(value)
    name = options.pop("type", "")
    if not isinstance(name, str) or name not in SOLVERS:
        hint = did_you_mean(name.upper(), SOLVERS) if isinstance(name, str) else ""
        raise ValueError(f"unknown solver {shown(name)}.{hint} There are NMF, VQ and CD.")
    try:
        solver = SOLVERS[name](**options)
    except TypeError as error:
        raise ValueError(f"solver {name} does not take {shown(options)}: {error}") from error
    check_known_solver(solver)
    return solver
