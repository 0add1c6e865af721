"""The promises of a solver, as a function that tests any."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from subquad.base.finite import all_finite
from subquad.nn.contract_report import Check, Report, error_of, within, worst
from subquad.nn.contract_solver_case import Case, Graph, raised, tried
from subquad.nn.contract_solver_padding import padding
from subquad.ops.checks import check_is_solver
from subquad.ops.solver import Descending, Solver, wants_nonnegative

_EXACT = 1e-9  # allowed in float64, where a sharp softmax magnifies rounding to 1e-12 or so
_RISE = 1e-6  # an eps in a denominator is a price on the factors, which shows once the rest has settled
_WORSE = 0.1  # of the data: what may be lost where the start depends on the scale
_SCALES = (1e-6, 1e-3, 1e2, 1e4)


def check_solver(
    solver: Solver,
    make_input: Callable[[], Tensor] | None = None,
    *,
    rank: int = 3,
    steps: int = 6,
    tolerance: float = 1e-3,
    compile: bool = False,
    export: bool = True,
) -> Report:
    """Check that a solver keeps the promises of `subquad`'s own in `decompose`.

    `decompose` itself widens half precision, switches autocast off and keeps the gradient out of the
    padding of X; the rest is up to the solver. All is drawn from one seed, and the state of the random
    generator stays as it is.

    Args:
        solver: Follows `subquad.ops.Solver`. Descent is checked if it is `subquad.ops.Descending`.
        make_input: Returns data (batch, dim, positions) of ordinary scale: at least two samples and
            three positions. None takes normal numbers, or their magnitudes for a solver that says
            `nonnegative`.
        rank: Columns of the dictionary.
        steps: Iterations, at least 1.
        tolerance: Allowed error in float32, relative to the largest number in float64; for gradients
            to 1 at least. What can be exact is checked in float64.
        compile: Check `torch.compile(fullgraph=True)`; takes a C++ compiler and half a minute.
        export: Check `torch.export`, for any number of positions.

    Returns:
        One `Check` a promise; the report is true if all hold. An exception in a method is a broken promise.

    Raises:
        ValueError: If `solver` lacks a method, `make_input` returns fewer samples or positions or numbers
            that are not finite, or `rank` or `steps` is below 1.
    """
    check_is_solver(solver)
    for name, value in (("rank", rank), ("steps", steps)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(0)
        x = _ordinary(solver) if make_input is None else _given(make_input)
        try:
            single = Case(solver, x, _start(solver, x, rank), steps)
            case = single._replace(x=x.double(), dictionary=single.dictionary.double())
        except Exception as error:
            return Report([raised("start dictionary", error)])
        checks = tried("input stays", _input_stays, case)
        if checks[0].passed:
            checks += tried("shapes", _shapes, case)
        if not all(check.passed for check in checks):  # nothing else could be compared
            return Report(checks)
        checks += tried("same input, same output", _repeats, case)
        checks += tried("start dictionary", _start_dictionary, case)
        checks += tried("samples do not mix", _no_mixing, case)
        if isinstance(solver, Descending):
            checks += tried("descent", _descends, case, solver)
        checks += tried("float32 agrees with float64", _agrees, single, case, tolerance)
        checks += tried("any size", _any_size, case)
        checks += tried("finite", _finite, single)
        checks += tried("as good at any scale", _any_scale, single)
        checks += tried("half precision", _half, single)
        checks += tried("padded equals cropped", padding, case, _EXACT)
        if compile:
            checks += tried("torch.compile", _compiles, single, tolerance)
        if export:
            checks += tried("torch.export", _exports, single, tolerance)
        return Report(checks)


def _given(make_input: Callable[[], Tensor]) -> Tensor:
    x = make_input().float()
    if x.dim() != 3 or x.shape[0] < 2 or x.shape[2] < 3:
        raise ValueError(
            f"make_input must return (batch, dim, positions) with two samples and three positions at "
            f"least, got {tuple(x.shape)}."
        )
    if not all_finite((x,)):
        raise ValueError("make_input must return finite numbers; of others no solver can keep a promise.")
    return x


def _ordinary(solver: Solver) -> Tensor:
    x = torch.randn(3, 8, 12)
    return x.abs() if wants_nonnegative(solver) else x


def _start(solver: Solver, x: Tensor, rank: int) -> Tensor:
    return solver.random_dictionary((x.shape[0], x.shape[1], rank), device=x.device, dtype=x.dtype)


def _shapes(case: Case) -> Check:
    seen = [tuple(factor.shape) for factor in case.solve()]
    told = f"D {seen[0]} and C {seen[1]}"
    expected = case.shapes()
    due = "" if seen == expected else f", must be {expected[0]} and {expected[1]}"
    return Check("shapes", seen == expected, told + due)


def _input_stays(case: Case) -> Check:
    """Look whether X and the start dictionary were written into, be it what they were before."""
    given = case._replace(x=case.x.clone(), dictionary=case.dictionary.clone())
    tensors = {"X": (given.x, case.x), "the start dictionary": (given.dictionary, case.dictionary)}
    before = {name: tensor._version for name, (tensor, _) in tensors.items()}
    for grad_steps in (0, case.steps):  # where no graph is kept, a solver may have a form of its own
        given.solve(grad_steps=grad_steps)
    written = [
        name
        for name, (tensor, was) in tensors.items()
        if tensor._version != before[name] or not torch.equal(tensor, was)
    ]
    told = f"written into: {' and '.join(written)}" if written else "nothing is written into X and the start"
    return Check("input stays", not written, told)


def _repeats(case: Case) -> Check:
    """Solve three times: nothing is remembered."""
    expected = case.solve()
    again = [*case.solve(), *case.solve()]
    return within("same input, same output", error_of(again, [*expected, *expected]), 0.0)


def _start_dictionary(case: Case) -> Check:
    """The generator decides, columns have length one, and what is admissible stays."""
    first, second = (
        case.solver.random_dictionary(
            case.dictionary.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
        for _ in range(2)
    )
    length = torch.linalg.vector_norm(first, dim=-2)
    admitted = case.solver.admissible(torch.randn_like(first))
    actual = [second, length, case.solver.admissible(first), case.solver.admissible(admitted)]
    error = error_of(actual, [first, torch.ones_like(length), first, admitted])
    return within("start dictionary", error, _EXACT)


def _no_mixing(case: Case) -> Check:
    factors = case.solve()
    backwards = case._replace(x=case.x.flip(0), dictionary=case.dictionary.flip(0)).solve()
    each = zip(case.x.split(1), case.dictionary.split(1), strict=True)
    alone = [case._replace(x=x, dictionary=dictionary).solve() for x, dictionary in each]
    together = [torch.cat(factor) for factor in zip(*alone, strict=True)]
    actual = [*(factor.flip(0) for factor in backwards), *together]
    return within("samples do not mix", error_of(actual, [*factors, *factors]), _EXACT)


def _descends(case: Case, solver: Descending) -> Check:
    """Follow the objective for twice as many iterations as are asked for."""
    steps = range(1, 2 * case.steps + 2)
    values = torch.stack([solver.objective(case.x, case._replace(steps=k).solve()) for k in steps])
    if values.shape[1:] != case.x.shape[:1]:
        told = f"the objective is {tuple(values.shape[1:])}, must be one number a sample, ({len(case.x)},)"
        return Check("descent", False, told)
    rise = (values.diff(dim=0).max() / values.abs().max().clamp_min(1e-30)).item()
    seen = f"largest rise {max(rise, 0.0):.1e} of the objective's largest value, allowed {_RISE:.0e}"
    return Check("descent", rise <= _RISE, seen)


def _agrees(single: Case, double: Case, tolerance: float) -> Iterator[Check]:
    """Compare float32 with float64."""
    weights = double.weights(double.x.shape[2])
    seen, exact = ([case.differentiate(weights, g) for g in (0, case.steps)] for case in (single, double))
    error = max(error_of([a], [e]) for a, e in zip(seen[0][:2], exact[0][:2], strict=True))
    yield within("float32 agrees with float64", error, tolerance)
    with torch.enable_grad():
        reaches = double._replace(x=double.x.clone().requires_grad_()).solve().codes.requires_grad
    told = "the final codes are in the graph of X" if reaches else "they are constants: see `Solver.prepare`"
    yield Check("one-step gradient", reaches, told)
    errors = {}
    for name, s, e in zip(("the one-step gradient", "that through all steps"), seen, exact, strict=True):
        one = torch.ones(1, device=single.x.device)  # where gradients vanish, rounding is all that is left
        errors[name] = max(error_of([s[part], one], [e[part], one]) for part in (2, 3))
    yield worst("gradients agree with float64", errors, tolerance)


def _any_size(case: Case) -> Check:
    """One position, a rank above the number of positions, a rank of one, a single iteration."""
    positions, rank = case.x.shape[2], case.dictionary.shape[2]
    for n, r, steps in ((1, rank, case.steps), (2, 5, case.steps), (positions, 1, case.steps), (3, rank, 1)):
        x = case.x[..., :n]
        sized = Case(case.solver, x, _start(case.solver, x, r), steps)
        told = f"{n} positions, rank {r}, {steps} steps"
        shapes = _shapes(sized)
        if not shapes.passed:
            return Check("any size", False, f"{told} gave {shapes.seen}")
        wrong = sized.not_finite()
        if wrong:
            return Check("any size", False, f"{told}: {wrong}")
    return Check("any size", True, "one position, a rank above it, a rank of one, one step")


def _finite(single: Case) -> Iterator[Check]:
    """Zeros and other scales, with both gradients."""
    dead = single.x.clone()
    dead[0], dead[1, 0], dead[1, :, 0] = 0, 0, 0
    parts = "a dead sample, channel and position"
    cases = {
        "zeros": {"nothing but zeros": 0 * dead, parts: dead},
        "tiny": {f"1e-6 times data with {parts}": 1e-6 * dead},
        "large": {"1e4 times the data": 1e4 * single.x},
    }
    for name, data in cases.items():
        found = {told: single._replace(x=x).not_finite() for told, x in data.items()}
        wrong = [f"{told}: {what}" for told, what in found.items() if what]
        seen = wrong[0] if wrong else "factors, and gradients of one step and of all"
        yield Check(f"finite for {name}", not wrong, seen)


def _any_scale(single: Case) -> Check:
    """Compare what is left of scaled data with what is left of the data, both relative to it."""
    usual = single.residual()
    losses = {s: float((single._replace(x=s * single.x).residual() - usual).max()) for s in _SCALES}
    worst = max(losses, key=lambda scale: losses[scale] if losses[scale] == losses[scale] else torch.inf)
    seen = f"residual larger by {max(losses[worst], 0.0):.1e} of the data at scale {worst:g}"
    passed = losses[worst] <= _WORSE
    hint = (
        ""
        if passed
        else "; are the final codes in the units of X, and all else in units of its largest entry?"
    )
    return Check("as good at any scale", passed, f"{seen}, allowed {_WORSE:g}{hint}")


def _half(single: Case) -> Check:
    """Autocast changes nothing, and data in half precision is as good as the same in float32."""
    error = 0.0
    for dtype in (torch.bfloat16, torch.float16):
        half = single.x.to(dtype)
        expected = single._replace(x=half.float()).solve()
        with torch.autocast(single.x.device.type, torch.bfloat16):
            factors = single._replace(x=half).solve()
        types = all(factor.dtype == torch.float32 for factor in factors)
        error = max(error, error_of(factors, expected) if types else torch.inf)
    return within("half precision", error, 0.0)


def _compiles(single: Case, tolerance: float) -> Check:
    graph = torch.compile(Graph(single.solver, single.steps), fullgraph=True)
    seen, expected = graph(single.x, single.dictionary), single.solve().reconstruct()
    return within("torch.compile", error_of([seen], [expected]), tolerance)


def _exports(single: Case, tolerance: float) -> Check:
    """Export for any number of positions, and run the program with one more than it has seen."""
    shapes = ({2: torch.export.Dim.DYNAMIC}, None)
    graph = Graph(single.solver, single.steps)
    program = torch.export.export(graph, (single.x, single.dictionary), dynamic_shapes=shapes).module()
    longer = single._replace(x=torch.cat([single.x, single.x[..., :1]], dim=2))
    cases = (single, longer)
    seen = [program(case.x, case.dictionary) for case in cases]
    expected = [case.solve().reconstruct() for case in cases]
    return within("torch.export", error_of(seen, expected), tolerance)
