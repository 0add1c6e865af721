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
_BACK = 10  # tolerances within which the output must be after a nudge
_SLOWEST_SEEN = 1 - 1e-4  # rate that is believed of changes that say nothing
_WINDOW = 0.75  # rates are measured from this part of the iterations on


class FixedPoint(NamedTuple):
    """Where iterations ended.

    Attributes:
        factors: Of the last iteration: dictionary (batch, dim, rank), codes (batch, rank, positions) in the
            solver's own units.
        output: What they reconstruct, with final codes, (batch, dim, positions).
        converged: Whether all samples are within the tolerance.
        steps: Iterations it took to come there; as many again were made to see that it comes back.
        rate: By what the change of the output shrinks in an iteration, of the slowest sample; None if
            nothing changed any more, or the changes did not shrink.
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
    iteration does next to nothing, as one of NMF. Then all entries are nudged at random, by the tolerance at
    most, and after as many iterations again the output must be back: NMF comes to rest at saddles, too,
    until an entry that was nearly zero has grown, thousands of iterations later.

    Args:
        x: The data, (batch, dim, positions); float64, or the tolerance is out of reach.
        dictionary: Start, (batch, dim, rank).
        solver: Of the decomposition.
        mask: True where a position counts, (batch, positions).
        tolerance: How far the output of each sample may be from the end, relative to its length.
        most_steps: Iterations after which to give up; as many again may be made after a nudge.
        tell: Called with how far it is, each time that the output is looked at.
    """
    problem = problem_of(x, solver, mask)
    factors, step = first_iterations(solver, problem, dictionary, 1, "reference")
    output = output_of(solver, problem, factors)
    rest, rate, rested, nudged_until = output, None, 0, 0
    search = _Search(len(x), x, since=0)
    while step < (2 * most_steps if nudged_until else most_steps):
        before = output_of(solver, problem, factors) if step >= search.next_look else None
        factors = iterated(solver, problem, factors)
        step += 1
        if before is not None:
            output = output_of(solver, problem, factors)
            search.look(step, before, output, tolerance)
            if tell is not None:
                tell(f"{step:,} iterations, {search.told()}")
        if nudged_until:
            if step < nudged_until:
                continue
            output, nudged_until = output_of(solver, problem, factors), 0
            if bool((_relative(output - rest, output) <= _BACK * tolerance).all()):
                return FixedPoint(factors, output, True, rested, rate)
        elif before is not None and bool((search.left <= tolerance).all()):
            rest, rate, rested, nudged_until = output, search.rate, step, 2 * step
            factors, search = _nudged(factors, tolerance), _Search(len(x), x, since=step)
    return FixedPoint(factors, output_of(solver, problem, factors), False, step, search.rate)


class _Search:
    """How far the output of each sample is from its end, by the changes that were seen.

    Args:
        samples: How many.
        like: Of the type and on the device of what is measured.
        since: Iterations that were made before.
    """

    def __init__(self, samples: int, like: Tensor, since: int) -> None:
        self.left = like.new_full((samples,), torch.inf)
        self.next_look = self._since = since
        self._rates, self._at_rest = torch.zeros_like(self.left), torch.zeros_like(self.left)
        self._looked: list[tuple[int, Tensor]] = []  # after which iteration, and what changed in it

    def look(self, step: int, before: Tensor, output: Tensor, tolerance: float) -> None:
        """Take note of what an iteration changed."""
        change = _relative(output - before, output)
        self._looked.append((step, change))
        self.next_look = step + step // _LOOKS
        # What rests shows how numbers are rounded, not a rate, until it moves again.
        moves = (self.left > tolerance) | (change > 2 * self._at_rest.clamp_min(_ROUNDING))
        rate = self._rate()
        believed = torch.where(change > _ROUNDING, rate, rate.clamp_max(_SLOWEST_SEEN))
        ahead = torch.where(believed < 1, change * believed / (1 - believed), torch.inf)
        tells = moves & (change > _ROUNDING) & rate.isfinite()
        self._rates = torch.where(tells, rate, self._rates)
        self._at_rest = torch.where(moves, change, self._at_rest)
        self.left = torch.where(moves, ahead, self.left)

    @property
    def rate(self) -> float | None:
        """The rate of the slowest sample, below 1; None if it is not known."""
        slowest = float(self._rates.max())
        return slowest if 0 < slowest < 1 else None

    def told(self) -> str:
        """Return how far the farthest sample is, in words."""
        worst = float(self.left.max())
        return f"about {worst:.1e} from the end" if worst < torch.inf else "not yet converging"

    def _rate(self) -> Tensor:
        """Return the rate of each sample over the last quarter of the iterations; infinite if none."""
        last, change = self._looked[-1]
        begin = self._since + _WINDOW * (last - self._since)
        step, before = next((one for one in reversed(self._looked) if one[0] <= begin), self._looked[0])
        if step == last or last - self._since < (1 - _WINDOW) * last:  # too short to be of the end
            return torch.full_like(change, torch.inf)
        return torch.where(before > 0, (change / before) ** (1 / (last - step)), torch.inf)


def _relative(part: Tensor, whole: Tensor) -> Tensor:
    """Return the length of a part of each sample, relative to the whole."""
    lengths = (torch.linalg.vector_norm(one, dim=(1, 2)) for one in (part, whole))
    return next(lengths) / next(lengths).clamp_min(1e-300)


def _nudged(factors: Factors, tolerance: float) -> Factors:
    """Add to each entry up to the tolerance, relative to the largest entry of its sample."""
    draw = torch.Generator().manual_seed(0)

    def nudged(part: Tensor) -> Tensor:
        noise = torch.rand(part.shape, generator=draw, dtype=part.dtype).to(part.device)
        return part + tolerance * part.abs().amax(dim=(1, 2), keepdim=True) * noise

    return Factors(*(nudged(part) for part in factors))


def rate_between(early: float, late: float, steps: int) -> float:
    """Return the rate at which a length shrank to another within so many steps, each by the same."""
    return (late / early) ** (1 / steps) if early > 0 else 0.0


def window_start(count: int) -> int:
    """Return from which of so many iterations on a rate is measured, at least one before the last."""
    return max(0, min(int(_WINDOW * count), count - 1))
