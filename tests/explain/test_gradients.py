"""The implicit gradient is known in closed form: for rank one, for a solver that is a linear contraction."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from subquad.explain import gradients
from subquad.explain.fixed_point import fixed_point
from subquad.explain.implicit import implicit_gradient
from subquad.explain.recorded import ham_problem, record_hams
from subquad.nn import Ham
from subquad.ops import CD, NMF, VQ, decompose

DOUBLE = torch.float64


def cotangent_loss(cotangent):
    return lambda output: (output.double() * cotangent).sum()


def truncated_svd_pulled_back(x, cotangent, rank):
    """Return the derivative of the best approximation of a rank, which is its own adjoint."""
    left, values, right = torch.linalg.svd(x)
    kept, small = torch.zeros(max(x.shape), dtype=DOUBLE), torch.zeros(max(x.shape), dtype=DOUBLE)
    kept[:rank], small[rank : len(values)] = values[:rank], values[rank:]
    inner = left.mT @ cotangent @ right.mT
    result = torch.zeros_like(inner)
    for i in range(inner.shape[0]):
        for j in range(inner.shape[1]):
            high, low = min(i, j), max(i, j)
            if low < rank:
                result[i, j] = inner[i, j]
            elif high < rank:
                swapped = inner[j, i] if j < inner.shape[0] and i < inner.shape[1] else 0
                top, next_ = kept[high], small[low]
                result[i, j] = (top**2 * inner[i, j] + top * next_ * swapped) / (top**2 - next_**2)
    return left @ result @ right


def test_rank_one_is_the_derivative_of_the_svd():
    """NMF of rank one is power iteration: rate (s2 / s1)**2, and every error known, as is its bound."""
    torch.manual_seed(1)
    x = torch.rand(1, 5, 3, 3, dtype=DOUBLE) + 0.05
    matrix = x.flatten(2)[0]
    left, values, right = torch.linalg.svd(matrix)
    shares = torch.zeros(5, dtype=DOUBLE)
    shares[: len(values)] = (values / values[0]) ** 2  # of them [0] is 1, and [1] the rate
    rate = float(shares[1])
    ham = Ham(5, rank=1, solver=NMF(eps=1e-13), steps=40).double()
    for cotangent in (torch.randn(5, 9, dtype=DOUBLE), worst_cotangent(left, right, rate)):
        exact = truncated_svd_pulled_back(matrix, cotangent, 1)
        report = gradients(ham, x, loss=cotangent_loss(cotangent.view(1, 5, 3, 3)), grad_steps=range(12))
        (found,) = report.hams
        assert found.converged
        assert found.implicit == pytest.approx(float(exact.norm()), rel=1e-6)
        assert found.output_rate == pytest.approx(rate, rel=0.1)
        assert found.distance < 1e-9
        inner = left.mT @ cotangent @ right.mT
        for one in found.gradients:
            k = one.grad_steps
            terms = [
                shares[j] ** k / (1 - shares[j]) * (inner[j, 0] + shares[j].sqrt() * inner[0, j])
                for j in range(1, 5)
            ]
            known = math.sqrt(
                sum(float((1 + q) * t**2) for q, t in zip(shares[1:], terms, strict=True))
            ) / float(exact.norm())
            theorem = (1 + rate) * rate**k / (1 - rate) * float(cotangent.norm() / exact.norm())
            assert one.limit_error == pytest.approx(known, rel=1e-5, abs=1e-8)
            assert one.error == pytest.approx(known, rel=1e-4, abs=1e-8)
            assert one.limit_error <= one.bound * (1 + 1e-6) + 1e-10
            assert one.limit_error <= theorem * (1 + 1e-6) + 1e-10
    # The last was the worst: the bound of the theorem is reached, so no smaller one holds.
    assert found.gradients[0].limit_error == pytest.approx(
        (1 + rate) / (1 - rate) * float(cotangent.norm() / exact.norm()), rel=1e-6
    )
    assert found.rate == pytest.approx(rate, rel=1e-6)


def worst_cotangent(left, right, rate):
    return torch.outer(left[:, 1], right[0]) + math.sqrt(rate) * torch.outer(left[:, 0], right[1])


@dataclass(frozen=True)
class Richardson:
    """Of another package: ridge regression on a dictionary that stays, by gradient steps."""

    step: float = 0.3
    ridge: float = 0.5

    def random_dictionary(self, shape, *, generator=None, device=None, dtype=torch.float32):
        draw = torch.randn(*shape, generator=generator, device=device, dtype=dtype)
        return nn.functional.normalize(draw, dim=-2)

    def admissible(self, dictionary):
        return dictionary

    def prepare(self, x, mask):
        from subquad.ops import Problem
        from subquad.ops.decompose import data_unit

        return Problem(x, mask, data_unit(x))

    def first_codes(self, problem, dictionary):
        return self.step * dictionary.mT @ problem.x

    def update_codes(self, problem, factors):
        dictionary, codes = factors
        wrong = dictionary.mT @ (dictionary @ codes - problem.x) + self.ridge * codes
        return codes - self.step * wrong

    def update_dictionary(self, problem, factors):
        return factors.dictionary

    def final_codes(self, problem, factors):
        return self.update_codes(problem, factors)


def test_a_linear_contraction_of_an_outsider():
    """The gradient is that of ridge regression, the rate an eigenvalue; the bound of the theorem holds."""
    solver = Richardson()
    ham = Ham(6, rank=3, solver=solver, steps=8).double()
    x, cotangent = torch.randn(2, 6, 7, dtype=DOUBLE), torch.randn(2, 6, 7, dtype=DOUBLE)
    dictionary = ham.dictionary[0]
    hessian = dictionary.mT @ dictionary + solver.ridge * torch.eye(3, dtype=DOUBLE)
    exact = dictionary @ torch.linalg.solve(hessian, dictionary.mT @ cotangent)
    rate = float((1 - solver.step * torch.linalg.eigvalsh(hessian)).abs().max())
    (found,) = gradients(ham, x, loss=cotangent_loss(cotangent)).hams
    assert found.converged
    assert found.implicit == pytest.approx(float(exact.norm()), rel=1e-9)
    assert found.rate == pytest.approx(rate, rel=1e-6)
    assert found.output_rate == pytest.approx(rate, rel=1e-6)
    contraction = torch.eye(3, dtype=DOUBLE) - solver.step * hessian
    norm = float(torch.linalg.matrix_norm(dictionary @ contraction, 2)) * solver.step
    norm *= float(torch.linalg.matrix_norm(dictionary, 2) * cotangent.norm())
    powers = torch.stack([torch.linalg.matrix_power(contraction, i) for i in range(ham.steps + 1)])
    through_all = solver.step * dictionary @ powers.sum(0) @ dictionary.mT @ cotangent
    for one in found.gradients:
        mine = solver.step * dictionary @ powers[: one.grad_steps + 1].sum(0) @ dictionary.mT @ cotangent
        left_out = exact - mine
        assert one.limit_error == pytest.approx(float(left_out.norm() / exact.norm()), rel=1e-6)
        assert one.error == pytest.approx(one.limit_error, rel=1e-6)  # linear: wherever it stands
        assert one.limit_error <= norm * rate**one.grad_steps / (1 - rate) / float(exact.norm())
        assert one.limit_error <= one.bound
        assert one.angle < 90 and one.length < 1
        cosine = float((mine * through_all).sum() / (mine.norm() * through_all.norm()))
        assert one.bptt_length == pytest.approx(float(mine.norm() / through_all.norm()), rel=1e-6)
        assert math.cos(math.radians(one.bptt_angle)) == pytest.approx(cosine, abs=1e-9)


@pytest.mark.parametrize("solver", [NMF(eps=1e-14), CD(temperature=0.1)], ids=["NMF", "CD"])
def test_it_is_the_derivative_of_where_the_iterations_end(solver):
    """Against central differences, for a factorisation with zeros in it and for clusters."""
    torch.manual_seed(5)
    x, cotangent = torch.rand(1, 5, 9, dtype=DOUBLE), torch.randn(1, 5, 9, dtype=DOUBLE)
    start = solver.random_dictionary((1, 5, 2), dtype=DOUBLE)
    end = fixed_point(x, start, solver)
    found = implicit_gradient(x, end.factors, solver, cotangent)
    assert end.converged and found.converged

    def ends(x):
        return float((fixed_point(x, start, solver).output * cotangent).sum())

    for _ in range(3):
        direction = torch.randn_like(x)
        slope = (ends(x + 1e-5 * direction) - ends(x - 1e-5 * direction)) / 2e-5
        assert float((found.gradient * direction).sum()) == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("solver", [VQ(temperature=0.1), CD(temperature=0.1)], ids=["VQ", "CD"])
def test_back_propagation_through_many_iterations_tends_to_it(solver):
    torch.manual_seed(0)
    ham = Ham(6, rank=2, solver=solver, steps=400).double()
    (found,) = gradients(ham, torch.rand(1, 6, 12, dtype=DOUBLE), grad_steps=[0, 400]).hams
    one_step, bptt = found.gradients
    assert bptt.error < 1e-5 and bptt.angle < 1e-3 and bptt.length == pytest.approx(1)
    assert one_step.error > 0.01


@pytest.mark.parametrize("tolerance", [1e-5, 1e-9])
def test_a_saddle_is_left(tolerance):
    """An entry of 1e-200 that ought to grow holds the output still for long, but not for good."""
    torch.manual_seed(4)
    solver = NMF(eps=1e-14)
    x = torch.rand(1, 4, 2, dtype=DOUBLE) @ torch.rand(1, 2, 12, dtype=DOUBLE)
    x = x + 0.1 * torch.rand(1, 4, 12, dtype=DOUBLE)
    start = solver.random_dictionary((1, 4, 2), dtype=DOUBLE)
    locked = start.clone()
    locked[0, 0, 0] = 1e-200
    stuck = fixed_point_of(x, locked, solver, 800)
    assert float((stuck - fixed_point_of(x, locked, solver, 400)).norm() / stuck.norm()) < 1e-6
    free, freed = (fixed_point(x, one, solver, tolerance=tolerance) for one in (start, locked))
    assert free.converged and freed.converged
    assert float((stuck - freed.output).norm() / stuck.norm()) > 1e-2
    assert float((free.output - freed.output).norm() / stuck.norm()) < 20 * tolerance


def fixed_point_of(x, start, solver, steps):
    return decompose(x, start, solver, steps=steps).reconstruct()


@pytest.mark.slow
def test_the_epsilon_of_nmf_is_no_obstacle():
    """With 1e-6 the scale of the factors would move for a million iterations."""
    torch.manual_seed(2)
    (found,) = gradients(Ham(8, rank=2).double(), torch.rand(1, 8, 30, dtype=DOUBLE), most_steps=20_000).hams
    assert found.converged
    assert found.rate < 1 - 1e-4 and found.output_rate < 1 - 1e-4


@pytest.mark.parametrize("over", ["space", "channel"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("start", ["random", "learned"])
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_differentiated_is_what_the_ham_computes(over, heads, start, masked):
    ham = Ham(6, rank=2, heads=heads, over=over, start=start, steps=3, grad_steps=3)
    if start == "learned":
        ham.dictionary.data[:, ::2] *= -1
    x, mask = torch.rand(2, 6, 4, 3), torch.rand(2, 4, 3) < 0.7
    arguments = (x, mask) if masked else (x,)
    cotangent = torch.randn(2, 6, 4, 3)
    (recorded,) = record_hams(ham, arguments, lambda output: (output * cotangent).sum())
    problem = ham_problem(recorded)
    own = x.clone().requires_grad_()
    output = ham.eval()(own, *arguments[1:])
    output.backward(cotangent)
    wide = problem.x.clone().requires_grad_()
    factors = decompose(wide, problem.start, ham.solver, steps=3, grad_steps=3, mask=problem.mask)
    factors.reconstruct().backward(problem.cotangent)
    for ours, expected in ((factors.reconstruct(), output), (wide.grad, own.grad)):
        ours = ours.mT if over == "channel" else ours
        ours = ours.reshape(x.shape).float()
        if masked:
            ours, expected = (part.where(mask.unsqueeze(1), 0) for part in (ours, expected))
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
