"""Where the iterations of a solver end: its fixed point, and how fast they come there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from subquad.ops import Factors, Problem, Solver
from subquad.ops.decompose import first_iterations

_LOOKS = 20  # the output is looked at whenever the iterations are one part in so many further
_ROUNDING = 1e-14  # relative change that says nothing
_WINDOW = 0.75  # rates are measured from this part of the iterations on


class FixedPoint(NamedTuple):
    """Where iterations ended.

    Attributes:
        factors: Of the last iteration: dictionary (batch, dim, rank), codes (batch, rank, positions) in the
            solver's own units.
        output: What they reconstruct, with final codes, (batch, dim, positions).
        converged: Whether all samples are within the tolerance.
        steps: Iterations it took to come there; as many again were made to see that it stays.
        rate: By what the change of the output shrinks in an iteration, of the slowest sample; None if
            nothing changed any more.
    """

    factors: Factors
    output: Tensor
    converged: bool
    steps: int
    rate: float | None


def iterated(solver: Solver, problem: Problem, factors: Factors) -> Factors:
    """Return the factors after one more iteration: codes, then dictionary."""
    factors = factors._replace(codes=solver.update_codes(problem, factors))
    return factors._replace(dictionary=solver.update_dictionary(problem, factors))


def output_of(solver: Solver, problem: Problem, factors: Factors) -> Tensor:
    """Return what is reconstructed with final codes, (batch, dim, positions)."""
    return factors.dictionary @ solver.final_codes(problem, factors)


def problem_of(x: Tensor, solver: Solver, mask: Tensor | None) -> Problem:
    """Return what the solver prepares, of x (batch, dim, positions) and mask (batch, positions)."""
    if mask is not None:
        mask = mask.unsqueeze(1)
        x = x.where(mask, 0)
    return solver.prepare(x, mask)


@torch.no_grad()
def fixed_point(
    x: Tensor,
    dictionary: Tensor,
    solver: Solver,
    *,
    mask: Tensor | None = None,
    tolerance: float = 1e-10,
    most_steps: int = 100_000,
    tell: Callable[[str], None] | None = None,
) -> FixedPoint:
    """Iterate a solver until its output stays where it is.

    How far the output still is from where it goes is estimated from the last change and the rate at which
    changes shrink: change * rate / (1 - rate). The change alone would be taken for the distance where an
    iteration does next to nothing, as one of NMF. And it must stay there for as many iterations again: NMF
    comes to rest at saddles, too, and leaves them when an entry that was nearly zero has grown.

    Args:
        x: The data, (batch, dim, positions); float64, or the tolerance is out of reach.
        dictionary: Start, (batch, dim, rank).
        solver: Of the decomposition.
        mask: True where a position counts, (batch, positions).
        tolerance: How far the output of each sample may be from the end, relative to its length.
        most_steps: Iterations after which to give up, those in which it has to stay not counted.
        tell: Called with how far it is, each time that the output is looked at.
    """
    problem = problem_of(x, solver, mask)
    factors, step = first_iterations(solver, problem, dictionary, 1, "reference")
    output = output_of(solver, problem, factors)
    looked: list[tuple[int, Tensor]] = []  # after which iteration, and by what each sample moved in it
    left = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    rates, rests_at, next_look, settled = torch.zeros_like(left), torch.zeros_like(left), 1, 0
    while step < (2 * settled if settled else most_steps):
        before = output_of(solver, problem, factors) if step >= next_look else None
        factors = iterated(solver, problem, factors)
        step += 1
        if before is None:
            continue
        next_look = step + step // _LOOKS
        output = output_of(solver, problem, factors)
        length = torch.linalg.vector_norm(output, dim=(1, 2)).clamp_min(1e-300)
        change = torch.linalg.vector_norm(output - before, dim=(1, 2)) / length
        looked.append((step, change))
        # What rests shows how numbers are rounded, not a rate, until it moves again.
        moves = (left > tolerance) | (change > 2 * rests_at.clamp_min(_ROUNDING))
        rate = _rate(looked)
        ahead = torch.where(rate < 1, change * rate / (1 - rate), torch.inf).where(change > 0, 0)
        rates, rests_at = torch.where(moves, rate, rates), torch.where(moves, change, rests_at)
        left = torch.where(moves, ahead, left)
        if bool((left > tolerance).any()):
            settled = 0
        elif not settled:
            settled = step
        if tell is not None:
            tell(f"{step:,} iterations, {_amount(left)} from the end")
    output = output_of(solver, problem, factors)
    slowest = float(rates.max())
    rate = slowest if 0 < slowest < torch.inf else None
    return FixedPoint(factors, output, settled > 0, settled or step, rate)


def rate_between(early: float, late: float, steps: int) -> float:
    """Return the rate at which a length shrank to another within so many steps, each by the same."""
    return (late / early) ** (1 / steps) if early > 0 else 0.0


def window_start(count: int) -> int:
    """Return from which of so many iterations on a rate is measured, at least one before the last."""
    return max(0, min(int(_WINDOW * count), count - 1))


def _rate(looked: list[tuple[int, Tensor]]) -> Tensor:
    """Return the rate of each sample over the last quarter of the iterations; infinite if there is none."""
    last, change = looked[-1]
    earlier = [entry for entry in looked[:-1] if entry[0] <= _WINDOW * last] or looked[:1]
    step, before = earlier[-1]
    if step == last:
        return torch.full_like(change, torch.inf)
    return torch.where(before > 0, (change / before) ** (1 / (last - step)), torch.inf)


def _amount(left: Tensor) -> str:
    worst = float(left.max())
    return f"about {worst:.1e}" if worst < torch.inf else "not yet known how far"
