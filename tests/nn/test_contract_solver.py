"""check_solver finds each broken promise of a solver."""

from dataclasses import dataclass

import pytest
import torch

from nightly import some_by_day
from subquad.nn import check_solver
from subquad.ops import CD, NMF, VQ, Factors, decompose

OURS = [NMF(), VQ(), CD(), VQ(0.1), VQ(1.0), CD(1.0)]


def hidden_gradient(x):
    """Zero, with the gradient of `x`."""
    return x - x.detach()


def infinite_gradient(x):
    """Zero, with a gradient that is not finite."""
    return hidden_gradient(x).sqrt()


def is_half(x):
    """Whether bfloat16 holds all numbers of `x`, which are not all zero."""
    return bool(x.any()) and torch.equal(x.bfloat16().to(x.dtype), x)


class Counts:
    """How often it was asked: what a solver must not remember."""

    def __init__(self):
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.asked


asked = Counts()

# What breaks one promise and no other: of (data, mask or None, sound final codes).
ONLY = {
    "same input, same output": lambda x, mask, codes: codes + 1e-12 * asked(),
    "samples do not mix": lambda x, mask, codes: (
        codes + 1e-6 * codes[-1:] if mask is None and len(codes) > 1 else codes
    ),
    "float32 agrees with float64": lambda x, mask, codes: (
        codes if x.dtype == torch.float64 else codes + 0.01 * codes.detach()
    ),
    "gradients agree with float64": lambda x, mask, codes: (
        codes if x.dtype == torch.float64 else codes + hidden_gradient(codes)
    ),
    "one-step gradient": lambda x, mask, codes: codes.detach(),
    "any size": lambda x, mask, codes: codes * torch.nan if codes.shape[2] == 1 else codes,
    "finite for zeros": lambda x, mask, codes: codes if x.any() else codes * torch.nan,
    "finite for tiny": lambda x, mask, codes: (
        codes + infinite_gradient(codes) if 0 < x.abs().max() < 1e-4 else codes
    ),
    "finite for large": lambda x, mask, codes: codes + infinite_gradient(codes) if x.max() > 1e3 else codes,
    "as good at any scale": lambda x, mask, codes: codes * (x.abs().max() > 1e-4),
    "half precision": lambda x, mask, codes: codes * torch.nan if is_half(x) else codes,
    "padded equals cropped": lambda x, mask, codes: (
        codes if mask is None else codes + codes.detach().mean(-1, keepdim=True)
    ),
    "gradients of padded equal those of cropped": lambda x, mask, codes: (
        codes if mask is None else codes + hidden_gradient(codes.mean(-1, keepdim=True))
    ),
    "torch.export": lambda x, mask, codes: codes + torch.compiler.is_exporting(),
}


@dataclass(frozen=True)
class Broken(CD):
    """Breaks one promise, in its last step."""

    promise: str = ""

    def final_codes(self, problem, factors):
        codes = super().final_codes(problem, factors)
        traced = self.promise in ("torch.export", "float32 agrees with float64")
        if torch.compiler.is_exporting() and not traced:
            return codes  # what asks the data cannot be traced
        return ONLY[self.promise](problem.x, problem.mask, codes)


@dataclass(frozen=True)
class Longer(CD):
    """Starts from columns of length two."""

    def random_dictionary(self, shape, **options):
        return 2 * super().random_dictionary(shape, **options)


@dataclass(frozen=True)
class Climbs(NMF):
    """States the opposite of what it makes smaller."""

    def objective(self, x, factors):
        return -super().objective(x, factors)


def failing(solver, *args, **options):
    return {check.name for check in check_solver(solver, *args, **options).checks if not check.passed}


@pytest.mark.parametrize("solver", some_by_day(OURS, lambda solver: solver in OURS[:3]), ids=repr)
def test_ours_keep_every_promise(solver):
    report = check_solver(solver)
    report.raise_if_failed()
    assert {check.name for check in report.checks} == {
        *ONLY,
        "shapes",
        "input stays",
        "start dictionary",
        "descent",
    }


@pytest.mark.parametrize(
    "promise", some_by_day(ONLY, lambda promise: promise not in ("finite for tiny", "half precision"))
)
def test_finds_a_broken_promise_and_blames_no_other(promise):
    assert failing(Broken(promise=promise)) == {promise}


def test_finds_a_start_that_is_too_long_and_an_objective_that_rises():
    assert failing(Longer()) == {"start dictionary"}
    assert failing(Climbs()) == {"descent"}


def test_descent_is_checked_only_where_it_is_promised():
    class Silent(NMF):
        objective = None

    assert "descent" not in {check.name for check in check_solver(Silent()).checks}


class Branches(NMF):
    """Asks the data for the way."""

    def final_codes(self, problem, factors):
        codes = super().final_codes(problem, factors)
        return codes if problem.x.abs().sum() >= 0 else -codes


def test_a_solver_that_cannot_be_traced_fails_with_the_reason():
    report = check_solver(Branches())
    assert [check.name for check in report.checks if not check.passed] == ["torch.export"]
    assert "data-dependent" in str(report)


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_solver_with_other_numbers_is_found():
    class Compiled(NMF):
        def final_codes(self, problem, factors):
            codes = super().final_codes(problem, factors)
            graph = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
            return codes + 1 if graph else codes

    assert failing(Compiled(), compile=True) == {"torch.compile"}


class Writes(NMF):
    """Makes its data what it wants them to be, again and again: the same each time."""

    def prepare(self, x, mask):
        return super().prepare(x.relu_(), mask)


class WritesUnseen(NMF):
    """Where PyTorch does not count it."""

    def prepare(self, x, mask):
        x.data.mul_(0.5)
        return super().prepare(x, mask)


class WritesAmid(VQ):
    def update_codes(self, problem, factors):
        problem.x.clamp_(-100, 100)
        return super().update_codes(problem, factors)


class WritesIntoItsStart(CD):
    def first_codes(self, problem, dictionary):
        return super().first_codes(problem, dictionary.clamp_(-1, 1))


@pytest.mark.parametrize(
    ("solver", "what"),
    [
        (Writes(), "X"),
        (WritesUnseen(), "X"),
        (WritesAmid(), "X"),
        (WritesIntoItsStart(), "the start dictionary"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_writes_into_its_input_is_found_and_nothing_else_is_blamed(solver, what):
    found = [check for check in check_solver(solver).checks if not check.passed]
    assert [(check.name, check.seen) for check in found] == [("input stays", f"written into: {what}")]


def test_factors_of_a_wrong_shape_are_found_first():
    class Turned(CD):
        def final_codes(self, problem, factors):
            return super().final_codes(problem, factors).mT

    *_, found = check_solver(Turned()).checks
    assert str(found.seen) == "D (3, 8, 3) and C (3, 12, 3), must be (3, 8, 3) and (3, 3, 12)"


def test_what_is_not_finite_is_named():
    (found,) = (c for c in check_solver(Broken(promise="finite for large")).checks if not c.passed)
    assert found.seen == "1e4 times the data: no finite gradient of X, with the one-step gradient"


def test_data_of_ones_own_and_of_solvers_for_magnitudes():
    seen = []

    class Watches(NMF):
        nonnegative = True

        def prepare(self, x, mask):
            if mask is None and not torch.compiler.is_exporting():
                seen.append((x.shape, float(x.detach().min())))
            return super().prepare(x, mask)

    check_solver(Watches()).raise_if_failed()
    assert min(low for _, low in seen) >= 0
    seen.clear()
    check_solver(Watches(), lambda: torch.rand(2, 5, 7) + 1, rank=2, steps=1).raise_if_failed()
    assert {shape[1] for shape, _ in seen} == {5}


class Singular(NMF):
    def update_codes(self, problem, factors):
        return torch.linalg.inv(0 * factors.codes @ factors.codes.mT) @ factors.codes


class Forgets(NMF):
    """An argument."""

    def final_codes(self, problem):
        return problem.x


class StartsNowhere(VQ):
    def random_dictionary(self, shape, **options):
        return {}["start"]


class StartsWithNothing(VQ):
    def random_dictionary(self, shape, **options):
        pass


class NoObjectiveYet(CD):
    def objective(self, x, factors):
        raise NotImplementedError


class FailsOnMasks(CD):
    def prepare(self, x, mask):
        if mask is not None:
            raise NotImplementedError("no masks yet\nsecond line")
        return super().prepare(x, mask)


@pytest.mark.parametrize(
    ("solver", "name", "told"),
    [
        (Singular(), "input stays", "raised _LinAlgError, in update_codes, line "),
        (Forgets(), "input stays", "raised TypeError: "),
        (StartsNowhere(), "start dictionary", "raised KeyError, in random_dictionary, line "),
        (StartsWithNothing(), "start dictionary", "raised AttributeError: "),
        (NoObjectiveYet(), "descent", "raised NotImplementedError, in objective, line "),
        (FailsOnMasks(), "padded equals cropped", "raised NotImplementedError, in prepare, line "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_is_a_broken_promise_and_says_where_it_was(solver, name, told):
    (found,) = (check for check in check_solver(solver).checks if not check.passed)
    assert found.name == name and found.seen.startswith(told) and "\n" not in found.seen
    assert not found.seen.endswith(": ")


def test_each_sample_is_looked_at_alone():
    """That of the largest entry sees the same alone as among others, where a unit is taken over the batch."""

    class UnitOfAll(NMF):
        def prepare(self, x, mask):
            problem = super().prepare(x, mask)
            return problem._replace(x=problem.x + x.detach().amax())

    x = torch.rand(3, 8, 12)
    x[0, 0, 0] = 2
    assert "samples do not mix" in failing(UnitOfAll(), lambda: x)


def test_an_objective_is_one_number_a_sample():
    class OfAll(NMF):
        def objective(self, x, factors):
            return super().objective(x, factors).sum()

    (found,) = (check for check in check_solver(OfAll()).checks if not check.passed)
    assert (found.name, found.seen) == ("descent", "the objective is (), must be one number a sample, (3,)")


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_data_that_are_not_finite_are_refused_and_not_blamed_on_the_solver(number):
    with pytest.raises(ValueError, match="make_input must return finite numbers"):
        check_solver(NMF(), lambda: torch.full((2, 3, 5), number))


@pytest.mark.parametrize("option", ["rank", "steps"])
def test_a_rank_or_steps_of_zero_are_refused(option):
    with pytest.raises(ValueError, match=f"{option} must be at least 1, got 0"):
        check_solver(NMF(), **{option: 0})


def test_refuses_what_is_no_solver_and_too_little_data():
    with pytest.raises(ValueError, match=r"a solver is a value such as NMF\(\), got the text 'NMF'"):
        check_solver("NMF")
    with pytest.raises(ValueError, match=r"got the class NMF; give NMF\(\)"):
        check_solver(NMF)
    with pytest.raises(ValueError, match=r"\(\.\.\.\) has no final_codes\."):
        check_solver(type("Half", (CD,), {"final_codes": None, "__repr__": lambda self: "Half(...)"})())
    with pytest.raises(ValueError, match=r"two samples and three positions at least, got \(1, 8, 9\)"):
        check_solver(NMF(), lambda: torch.rand(1, 8, 9))


def test_leaves_the_random_state_alone_and_says_the_same_twice():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    report = check_solver(VQ())
    assert torch.equal(torch.rand(1), expected)
    assert str(check_solver(VQ())) == str(report)


@pytest.mark.parametrize("solver", OURS, ids=repr)
def test_the_objective_falls(solver):
    """Not a constant that never rises: it is smaller after eight steps than after one."""
    x = torch.rand(4, 8, 40, dtype=torch.float64)
    start = solver.random_dictionary((4, 8, 3), generator=torch.Generator().manual_seed(0)).double()
    first, last = (solver.objective(x, decompose(x, start, solver, steps=steps)) for steps in (1, 8))
    assert first.shape == (4,)
    assert (last < first - 1e-6 * first.abs()).all()


@pytest.mark.parametrize("kind", [VQ, CD])
def test_the_soft_objective_is_k_means_where_the_temperature_is_low(kind):
    x = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 1.0]]).unsqueeze(0)
    objective = kind(1e-3).objective(x, Factors(torch.eye(2).unsqueeze(0), torch.zeros(1, 2, 3)))
    torch.testing.assert_close(objective, torch.tensor([-6.0]))  # the lengths: each column is a direction
