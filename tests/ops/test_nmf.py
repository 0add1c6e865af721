"""NMF against its theorem, an independent implementation, and finite differences."""

from itertools import pairwise

import pytest
import torch
from sklearn.decomposition import non_negative_factorization

from helpers import relative_error
from subquad.ops import NMF, decompose
from subquad.ops.solver import Factors

pytestmark = pytest.mark.usefixtures("deterministic")


def residuals(x, start, steps):
    """Return |X - D C| after every single update."""
    solver = NMF(eps=1e-12)
    problem = solver.prepare(x, None)
    codes = solver.first_codes(problem, start)
    factors, out = Factors(start, codes), []
    for _ in range(steps):
        out.append((x - factors.reconstruct()).norm().item())
        factors = Factors(solver.update_dictionary(problem, factors), factors.codes)
        out.append((x - factors.reconstruct()).norm().item())
        factors = Factors(factors.dictionary, solver.update_codes(problem, factors))
    return out


@pytest.mark.parametrize("signed", [False, True])
def test_residual_never_grows(signed):
    """Lee and Seung's theorem; it also holds for signed data, whose products are cut off at zero."""
    for seed in range(10):
        torch.manual_seed(seed)
        x = torch.randn(1, 14, 40, dtype=torch.float64)
        x = x if signed else x.abs()
        trace = residuals(x, NMF().random_dictionary((1, 14, 6), dtype=x.dtype), 30)
        steps = list(pairwise(trace))
        assert all(after <= before * (1 + 1e-12) for before, after in steps)
        assert trace[-1] < 0.98 * trace[0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_equals_scikit_learn_from_the_same_start():
    x = torch.rand(1, 20, 50, dtype=torch.float64)
    start = NMF().random_dictionary((1, 20, 4), dtype=torch.float64)
    first_codes = (start.mT @ x).softmax(dim=-2)
    # Theirs factorises X' = W H; W, our codes, is updated first.
    codes, dictionary, _ = non_negative_factorization(
        x[0].T.numpy(),
        W=first_codes[0].T.numpy().copy(),
        H=start[0].T.numpy().copy(),
        n_components=4,
        init="custom",
        solver="mu",
        max_iter=25,
        tol=0,
    )
    codes, dictionary = codes.T, dictionary.T
    actual = decompose(x, start, NMF(eps=1e-12), steps=25)
    assert relative_error(actual.dictionary[0], dictionary.copy()) < 1e-9
    # Ours ends with one more update of the codes.
    codes = codes * (dictionary.T @ x[0].numpy()) / (dictionary.T @ dictionary @ codes)
    assert relative_error(actual.codes[0], codes) < 1e-9


@pytest.mark.parametrize("grad_steps", [0, 3])
def test_gradcheck(grad_steps):
    """BPTT is the true derivative; the one-step gradient is that of the last code update."""
    x = torch.rand(2, 5, 7, dtype=torch.float64, requires_grad=True)
    start = NMF().random_dictionary((2, 5, 3), dtype=torch.float64)
    if grad_steps:
        assert torch.autograd.gradcheck(
            lambda x, d: decompose(x, d, NMF(), steps=3, grad_steps=3).reconstruct(),
            (x, start.requires_grad_()),
        )
        return
    solver = NMF()
    frozen = decompose(x.detach(), start, solver, steps=3)

    def last_update(x):
        problem = solver.prepare(x, None)
        codes = solver.first_codes(solver.prepare(frozen_x, None), start)
        factors = Factors(start, codes)
        for step in range(3):
            if step:
                codes = solver.update_codes(solver.prepare(frozen_x, None), factors)
            factors = Factors(
                solver.update_dictionary(solver.prepare(frozen_x, None), Factors(factors.dictionary, codes)),
                codes,
            )
        return factors.dictionary @ solver.final_codes(problem, factors)

    frozen_x = x.detach().clone()
    weights = torch.randn_like(frozen_x)
    expected = torch.autograd.functional.jacobian(lambda x: (last_update(x) * weights).sum(), x)
    result = decompose(x, start, solver, steps=3).reconstruct()
    actual = torch.autograd.grad((result * weights).sum(), x)[0]
    assert torch.equal(frozen.reconstruct(), result)
    torch.testing.assert_close(actual, expected)
    assert torch.autograd.gradcheck(last_update, (x,))


def test_one_step_gradient_is_linear_in_x():
    """Spec 1.5: with constant factors the final codes are a linear function of X."""
    x = torch.rand(1, 6, 9, dtype=torch.float64)
    start = NMF().random_dictionary((1, 6, 3), dtype=torch.float64)
    solver = NMF()
    problem = solver.prepare(x, None)
    factors = Factors(start, solver.first_codes(problem, start))
    double = problem._replace(x=2 * x)
    torch.testing.assert_close(solver.final_codes(double, factors), 2 * solver.final_codes(problem, factors))
