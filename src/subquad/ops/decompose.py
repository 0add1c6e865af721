"""Matrix decomposition as a function of tensors: X = D C + E, solved by a few iterations.

The loop and the gradient policy are written once, here; a solver (`NMF`, `VQ`, `CD`) says what one
iteration is. Source: Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021,
section 2 (the decompositions and the one-step gradient).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from subquad.ops.checks import check_data, checked_dictionary
from subquad.ops.dispatch import Impl, check_impl
from subquad.ops.precision import Precision, check_bfloat16, check_precision, is_short
from subquad.ops.products import collect, largest_entry, product, project

# Data whose largest entry lies between these bounds is used as it is. Outside of them the epsilons
# of the papers would dominate (small data) or squares would overflow (huge data).
_SMALLEST_ORDINARY = 1e-2
_LARGEST_ORDINARY = 1e6

# Asked once: the compiler of torch 2.10 cannot trace the question.
_AUTOCAST_DEVICES = frozenset(
    kind for kind in ("cpu", "cuda", "mps", "xpu", "hpu") if torch.amp.is_autocast_available(kind)
)


class Factors(NamedTuple):
    """The two factors of X, about equal to `dictionary @ codes`.

    Attributes:
        dictionary: D, (batch, dim, rank).
        codes: C, (batch, rank, positions).
    """

    dictionary: Tensor
    codes: Tensor

    def reconstruct(self) -> Tensor:
        """Return D C, (batch, dim, positions), in the precision of the factors under any autocast."""
        with autocast_off(self.dictionary):
            return product(self.dictionary, self.codes)


class Problem(NamedTuple):
    """What does not change from iteration to iteration.

    Attributes:
        x: X, (batch, dim, positions), zero where masked; divided by `unit` if `scaled`.
        mask: True where a position counts, (batch, 1, positions); None if all do.
        unit: The scale of X in each sample, (batch, 1, 1): 1 for ordinary data, so that the
            epsilons are the papers'; smaller or larger for data far from 1, so that they follow.
        norm: `|column of X|`, (batch, 1, positions); None if the solver has no use for it.
        scaled: Whether `x` is a copy of X in this unit.
        short: X in bfloat16, where products are asked for in it; `decompose` sets it.
    """

    x: Tensor
    mask: Tensor | None
    unit: Tensor
    norm: Tensor | None = None
    scaled: bool = False
    short: Tensor | None = None

    def project(self, dictionary: Tensor) -> Tensor:
        """Return D'X, (batch, rank, positions)."""
        if self.short is None:
            return project(self.x, dictionary)
        return project(self._short(), dictionary.bfloat16())

    def collect(self, codes: Tensor) -> Tensor:
        """Return X C', (batch, dim, rank)."""
        if self.short is None:
            return collect(self.x, codes)
        return collect(self._short(), codes.bfloat16())

    def _short(self) -> Tensor:
        """Return X in bfloat16, with a graph where one is wanted: the copy was made outside of it."""
        assert self.short is not None
        needs_graph = torch.is_grad_enabled() and self.x.requires_grad
        return self.x.bfloat16() if needs_graph else self.short


@runtime_checkable
class Solver(Protocol):
    """One decomposition: a frozen value of hyper-parameters with pure methods.

    Iteration k of `decompose` is `update_codes` (`first_codes` in the first one), then
    `update_dictionary`. `final_codes` follows the last iteration and always carries the gradient.

    A solver whose data must not be negative says so by an attribute `nonnegative = True`, as `NMF` does:
    a Hamburger then puts a ReLU before it. Without the attribute it takes data of any sign. One that takes
    its long products by `Problem.project` and `Problem.collect` says `short_products = True`: these are what
    `precision="bfloat16"` makes faster.
    """

    @abstractmethod
    def random_dictionary(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw a start dictionary (..., dim, rank) with columns of length one."""
        ...

    @abstractmethod
    def admissible(self, dictionary: Tensor) -> Tensor:
        """Map any tensor to a dictionary the solver accepts; accepted ones stay as they are."""
        ...

    @abstractmethod
    def prepare(self, x: Tensor, mask: Tensor | None) -> Problem:
        """Compute what does not change from iteration to iteration.

        With the one-step gradient this is outside the graph: hand on `x` itself, for the final codes.
        """
        ...

    @abstractmethod
    def first_codes(self, problem: Problem, dictionary: Tensor) -> Tensor:
        """Return the codes of the first iteration, from the start dictionary alone."""
        ...

    @abstractmethod
    def update_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Return better codes for this dictionary."""
        ...

    @abstractmethod
    def update_dictionary(self, problem: Problem, factors: Factors) -> Tensor:
        """Return a better dictionary for these codes."""
        ...

    @abstractmethod
    def final_codes(self, problem: Problem, factors: Factors) -> Tensor:
        """Return the codes that are handed out, in the units of X."""
        ...


@runtime_checkable
class Descending(Solver, Protocol):
    """A solver that says what its iterations make smaller, and never larger."""

    def objective(self, x: Tensor, factors: Factors) -> Tensor:
        """Return what is minimised, (batch,), of X and what `decompose` returns of it after any step."""
        ...


@runtime_checkable
class Iterating(Solver, Protocol):
    """A solver with a faster form of its iterations for where no graph is kept."""

    def iterate(self, problem: Problem, dictionary: Tensor, steps: int, impl: Impl) -> Factors | None:
        """Return the factors after so many iterations from a start; None where the updates are as fast."""
        ...


def wants_nonnegative(solver: Solver) -> bool:
    """Say whether the data of a solver must not be negative."""
    return bool(getattr(solver, "nonnegative", False))


def decompose(
    x: Tensor,
    dictionary: Tensor,
    solver: Solver,
    *,
    steps: int,
    grad_steps: int = 0,
    mask: Tensor | None = None,
    precision: Precision = "float32",
    impl: Impl = "auto",
) -> Factors:
    """Decompose `x` into a dictionary and codes by `steps` iterations of `solver`.

    Runs in float32 (float64 if `x` is) with autocast off, whatever the precision of `x`: sums over
    many thousand positions lose too much in half precision.

    Args:
        x: The data, (batch, dim, positions).
        dictionary: Start dictionary, (batch, dim, rank), or (dim, rank) for all samples alike.
        solver: `NMF`, `VQ`, `CD`, or any value that follows the `Solver` protocol.
        steps: Number of iterations, at least 1. One more code update follows them.
        grad_steps: How many of the last iterations stay in the graph, 0 to `steps`. 0 is the
            one-step gradient of the paper (only the final code update is differentiated, memory
            does not grow with `steps`); `steps` is back-propagation through time.
        mask: True where a position counts, (batch, positions). The others neither give nor get
            anything: their codes are zero, and the result is that of the cropped data.
        precision: Of the factors of the long products, D'X and X C', of a solver that allows it, such as
            `NMF`: "bfloat16" rounds them to 8 bits and adds up in float32, in which all updates are, too.
            Float64 stays as it is, and so does what is exported.
        impl: Which implementation runs the iterations without a graph: "auto", "reference" (the updates as
            they are written), or "triton", where the solver has a kernel.

    Returns:
        The factors in float32 or float64: dictionary (batch, dim, rank), codes
        (batch, rank, positions), in memory mostly as X lies: channel by channel, or position by position.

    Raises:
        ValueError: If shapes, `steps`, `grad_steps` or the type of `x` or `mask` do not fit, if bfloat16
            would not be faster on this device, or if `impl` is unknown or cannot run.
    """
    dictionary = checked_dictionary(x, dictionary)
    check_data(x, steps, mask)
    check_impl(impl)
    if not 0 <= grad_steps <= steps:
        raise ValueError(
            f"grad_steps must be 0 (one-step gradient) to steps = {steps} (back-propagation through "
            f"time), got {grad_steps}."
        )
    grad = torch.is_grad_enabled()
    with autocast_off(x):
        x, short = widened(x, precision)
        dictionary = dictionary.to(x.dtype)
        if mask is not None:
            mask = mask.unsqueeze(1)  # (batch, 1, positions)
            x = x.where(mask, 0)  # also keeps NaN of the padding out
        with grad_mode(grad and grad_steps > 0):
            problem = prepared(solver, x, mask, short)
        free = steps if not grad else steps - grad_steps  # iterations without a graph
        with grad_mode(grad and free == 0):
            factors, done = first_iterations(solver, problem, dictionary, free, impl)
        for step in range(done, steps):
            with grad_mode(grad and step >= steps - grad_steps):
                # The codes before are let go of at once: they are as long as the data.
                factors = factors._replace(codes=solver.update_codes(problem, factors))
                factors = factors._replace(dictionary=solver.update_dictionary(problem, factors))
        return Factors(factors.dictionary, solver.final_codes(problem, factors))


def first_iterations(
    solver: Solver, problem: Problem, dictionary: Tensor, free: int, impl: Impl
) -> tuple[Factors, int]:
    """Return the factors after the first iterations, and how many these are.

    All that keep no graph, where the solver has a faster form of them; else one.

    Raises:
        ValueError: If `impl` asks for a kernel that there is not.
    """
    if free and isinstance(solver, Iterating):
        factors = solver.iterate(problem, dictionary, free, impl)
        if factors is not None:
            return factors, free
    elif impl == "triton":
        why = f"{solver} has no kernel" if free else "no kernel is for iterations that keep a graph"
        raise ValueError(f'impl="triton" cannot run: {why}; use "auto".')
    factors = Factors(dictionary, solver.first_codes(problem, dictionary))
    return factors._replace(dictionary=solver.update_dictionary(problem, factors)), 1


def widened(x: Tensor, precision: Precision) -> tuple[Tensor, bool]:
    """Return X in the precision of the updates, and whether products are to be in bfloat16.

    Raises:
        ValueError: If `precision` is unknown, or would not be faster.
    """
    check_precision(precision)
    short = is_short(precision, x.dtype)
    if short:
        check_bfloat16(x.device)
    return (x if x.dtype == torch.float64 else x.float()), short


def prepared(solver: Solver, x: Tensor, mask: Tensor | None, short: bool) -> Problem:
    """Return what a solver prepares, with a copy of X in bfloat16 if that is asked for and of use."""
    problem = solver.prepare(x, mask)
    if not (short and getattr(solver, "short_products", False)):
        return problem
    return problem._replace(short=problem.x.bfloat16())


@torch.no_grad()
def data_unit(x: Tensor) -> Tensor:
    """Return the scale by which a solver divides `x`, (batch, 1, 1): 1 for ordinary data.

    Args:
        x: (batch, dim, positions).
    """
    largest = largest_entry(x)
    # Below 1e-20 there is nothing left to scale: squares in float32 end at 1e-38.
    return largest.clamp_min(1e-20) / largest.clamp(_SMALLEST_ORDINARY, _LARGEST_ORDINARY)


def grad_mode(enabled: bool) -> AbstractContextManager[None]:
    """Switch gradients only where needed: a switch that changes nothing still ends up in exports."""
    if torch.is_grad_enabled() == enabled:
        return nullcontext()
    return torch.set_grad_enabled(enabled)


def autocast_off(x: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off on the device of `x`, where it is on."""
    device = x.device.type
    if device in _AUTOCAST_DEVICES and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()
