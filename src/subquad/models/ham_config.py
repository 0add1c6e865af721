"""The options of a ham, once for all networks that have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from subquad.base.limits import MOST_STEPS
from subquad.models.config import NetworkConfig
from subquad.models.fields import check_range
from subquad.models.solvers import check_known_solver, solver_from_json
from subquad.nn.ham import HamOptions, StartDictionary
from subquad.ops import NMF, Solver
from subquad.ops.precision import Precision

Context = Literal["hamburger", "attention", "none"]  # what gives global context


@dataclass(frozen=True, kw_only=True)
class WithHam(NetworkConfig):
    """What every network with a ham is told; see `subquad.nn.Ham`.

    Attributes:
        solver: Of the decomposition: NMF, VQ, CD or one that is registered; by a name or with its options,
            as in {type: VQ, temperature: 0.1}.
        steps: Iterations while training.
        eval_steps: Iterations in evaluation; None takes `steps`.
        grad_steps: Last iterations kept in the graph; 0 is the one-step gradient, None two, or all with a
            start that is learned.
        start: Where the dictionary starts while training: "random", "fixed", "learned" or "running".
        precision: Of the ham's long products: "float32", or "bfloat16" where the machine has it.
    """

    solver: Solver = NMF()  # noqa: RUF009  a frozen value
    steps: int = 6
    eval_steps: int | None = None
    grad_steps: int | None = None
    start: StartDictionary = "random"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known_solver(self.solver)
        check_range(self, 1, MOST_STEPS, "steps", "eval_steps")
        check_range(self, 0, self.steps, "grad_steps")

    @property
    def ham_options(self) -> HamOptions:
        """The options that `subquad.nn.Ham` takes by the same names."""
        return {
            "solver": self.solver,
            "steps": self.steps,
            "eval_steps": self.eval_steps,
            "grad_steps": self.grad_steps,
            "start": self.start,
            "precision": self.precision,
        }

    def solver_called(self, name: str) -> Solver:
        """Return the solver of that name, as the family has it.

        Raises:
            ValueError: If there is no such solver.
        """
        return solver_from_json({"type": name})

    def replaced(self, **overrides: Any) -> Self:
        """Return the configuration with some options replaced; a solver by its value, name or JSON form."""
        solver = overrides.get("solver")
        if isinstance(solver, str):
            overrides["solver"] = self.solver_called(solver)
        if isinstance(solver, dict):
            overrides["solver"] = solver_from_json(solver)
        return super().replaced(**overrides)
