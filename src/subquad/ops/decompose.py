"""Matrix decomposition as a function of tensors: X = D C + E, solved by a few iterations.

The loop and the gradient policy are written once, here; a solver (`NMF`, `VQ`, `CD`) says what one
iteration is. Source: Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021,
section 2 (the decompositions and the one-step gradient).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from subquad.ops.autocast import autocast_off
from subquad.ops.checks import check_data, checked_dictionary
from subquad.ops.dispatch import Impl, check_impl
from subquad.ops.precision import Precision, check_bfloat16, check_precision, is_short
from subquad.ops.products import largest_entry
from subquad.ops.solver import Factors, Iterating, Problem, Solver

# Data whose largest entry lies between these bounds is used as it is. Outside of them the epsilons
# of the papers would dominate (small data) or squares would overflow (huge data).
_SMALLEST_ORDINARY = 1e-2
_LARGEST_ORDINARY = 1e6


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
