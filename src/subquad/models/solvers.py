"""Solvers by name: as values that are checked, and in their JSON form."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, get_origin

from subquad.base.limits import HYPER_PARAMETERS
from subquad.base.plugins import announced, load_announced, place_of
from subquad.base.suggest import did_you_mean
from subquad.models.fields import check_range, fit_fields, is_storable, kinds_of, shown
from subquad.ops import CD, NMF, VQ, Solver
from subquad.ops.checks import missing_methods

ENTRY_POINTS = "subquad.solvers"
OURS = (NMF, VQ, CD)

# By the name that configurations and checkpoints have.
SOLVERS: dict[str, type[Any]] = {solver.__name__: solver for solver in OURS}

Registered = TypeVar("Registered", bound=Solver)


def register_solver(solver: type[Registered]) -> type[Registered]:
    """Make a solver one that is chosen by the name of its class, and that files can hold: a decorator.

    A checkpoint stores the name and the hyper-parameters, never code. Who loads it needs the solver
    registered: import the module that does it, or let an installed package announce it as an entry
    point of the group "subquad.solvers", named as the class is::

        [project.entry-points."subquad.solvers"]
        Mine = "my_package.solvers:Mine"

    Args:
        solver: A frozen dataclass that follows `subquad.ops.Solver`. Its fields are its
            hyper-parameters: numbers, text, true or false, None, or tuples of them (`tuple[float, ...]`),
            checked against their annotations when a file is read; their range is for its `__post_init__`
            to check, with ValueError.

    Returns:
        The class itself.

    Raises:
        ValueError: If the name is another class's already.
        TypeError: If it is no frozen dataclass, lacks a method, or an annotation cannot be resolved or is of
            what a file could not hold.
    """
    parameters = getattr(solver, "__dataclass_params__", None)
    is_frozen = isinstance(solver, type) and parameters is not None and parameters.frozen
    if not is_frozen:
        raise TypeError(
            f"a solver is a frozen dataclass with the methods of subquad.ops.Solver, got {solver!r}; "
            f"decorate its class with @dataclass(frozen=True)."
        )
    name = solver.__name__
    missing = missing_methods(solver)
    if missing:
        raise TypeError(
            f"a solver has all methods of subquad.ops.Solver; {name} has no {', '.join(missing)}."
        )
    try:
        kinds = kinds_of(solver)
    except NameError as error:
        raise TypeError(f"files with {name} could not be checked: {error}.") from error
    for field in dataclasses.fields(solver):  # type: ignore[arg-type]  it is a dataclass
        kind = kinds[field.name]
        if not field.init:
            raise TypeError(
                f"{field.name} of {name} cannot be given, so no file could bring it back; make it a property."
            )
        if not is_storable(kind):
            told = getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind)
            raise TypeError(
                f"{field.name} of {name} is annotated as {told}, which no file can hold; take bool, int, "
                f"float, str, None, or tuples that say of what, such as tuple[float, ...]."
            )
    taken = SOLVERS.get(name)
    if taken is not None and place_of(taken) != place_of(solver):
        raise ValueError(f"the solver {name!r} is that of {place_of(taken)}; choose another name.")
    SOLVERS[name] = solver
    return solver


def solver_class(name: str) -> type[Solver] | None:
    """Return the solver of a name; None if neither we nor an installed package knows it.

    Raises:
        ValueError: If the package that announces it cannot be imported, or announces something else.
    """
    if name not in SOLVERS:
        load_announced(ENTRY_POINTS, name, "solver", lambda solver: _take(name, solver))
    return SOLVERS.get(name)


def _take(name: str, solver: Any) -> None:
    register_solver(solver)
    if solver.__name__ != name:
        raise ValueError(f"it is {solver.__name__}, and a solver is announced by the name of its class")


def check_known_solver(solver: Solver) -> None:
    """Raise ValueError if a hyper-parameter is no number in the range that float32 can work with.

    Of a solver of another package, only types are looked at, and only if it is registered.
    """
    if isinstance(solver, type) or not isinstance(solver, Solver):
        hint = (
            f"; give {solver.__name__}()" if isinstance(solver, type) and not missing_methods(solver) else ""
        )
        raise ValueError(f"solver must be {_known('or')}, got {shown(solver)}{hint}.")
    ours = next((kind for kind in OURS if isinstance(solver, kind)), None)
    if ours is not None or type(solver) in SOLVERS.values():
        fit_fields(solver)
    if ours is not None:
        check_range(solver, *HYPER_PARAMETERS, *(f.name for f in dataclasses.fields(ours)))


def solver_to_json(solver: Solver) -> dict[str, Any]:
    """Return {"type": "NMF", "eps": ...} and so on.

    Raises:
        ValueError: If the solver is not registered: a file could not bring its code along.
    """
    name = type(solver).__name__
    if solver_class(name) is not type(solver):
        raise ValueError(
            f"only {_known('and')} can be stored, got {solver!r}; decorate its class with "
            f"subquad.models.register_solver."
        )
    return {"type": name, **{f.name: getattr(solver, f.name) for f in dataclasses.fields(SOLVERS[name])}}


def solver_from_json(value: dict[str, Any]) -> Solver:
    """Inverse of `solver_to_json`; hyper-parameters that are not there take their defaults.

    Raises:
        ValueError: If the type is unknown or a hyper-parameter is.
    """
    if not isinstance(value, dict) or "type" not in value:
        raise ValueError(
            f"a solver is a name such as VQ, or has a type and hyper-parameters such as "
            f'{{"type": "VQ", "temperature": 0.1}}; got {shown(value)}.'
        )
    options = dict(value)
    name = options.pop("type")
    kind = solver_class(name) if isinstance(name, str) else None
    if not isinstance(name, str):
        raise ValueError(f"the type of a solver is its name, got {shown(name)}.")
    if kind is None:
        raise UnknownSolver(name)
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]  they are dataclasses
    for option in options:
        if option not in known:
            hint = did_you_mean(option, known)
            raise ValueError(
                f"solver {name} has no {shown(option)}.{hint} It has {', '.join(known) or 'no options'}."
            )
    try:
        solver = kind(**options)
    except TypeError as error:
        raise ValueError(f"solver {name} does not take {shown(options)}: {error}") from error
    check_known_solver(solver)
    return solver


class UnknownSolver(ValueError):
    """A name that no solver has, neither ours nor one of an installed package.

    Attributes:
        name: What was asked for.
        instead: Which there are, as a sentence or two.
    """

    def __init__(self, name: str) -> None:
        near = did_you_mean(name, _names()) or did_you_mean(name.upper(), _names())
        self.name, self.instead = name, f"{near} There are {_known('and')}.".lstrip()
        super().__init__(f"unknown solver {shown(name)}. {self.instead}")

    def __reduce__(self) -> tuple[type[UnknownSolver], tuple[str]]:
        return type(self), (self.name,)


def _names() -> list[str]:
    """Return the names of all solvers: ours, those that are registered, and those of installed packages."""
    return [*SOLVERS, *(name for name in announced(ENTRY_POINTS) if name not in SOLVERS)]


def _known(word: str) -> str:
    """Return "NMF, VQ and CD", or with another word."""
    *names, last = _names()
    return f"{', '.join(names)} {word} {last}"
