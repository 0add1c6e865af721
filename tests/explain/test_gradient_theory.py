"""What docs/gradients.md proves of the one-step gradient and of NMF, measured."""

import pytest
import torch
from test_gradients import truncated_svd_pulled_back
from torch.autograd.functional import jacobian

from subquad.explain.fixed_point import fixed_point, iterated, output_of, problem_of
from subquad.explain.implicit import implicit_gradient
from subquad.nn import Ham
from subquad.ops import CD, NMF, VQ, Factors, decompose

DOUBLE = torch.float64
SMALL = NMF(eps=1e-14)


def packed(factors):
    return torch.cat([part.flatten() for part in factors])


def iteration(x, factors, solver=SMALL):
    """Return an iteration and the output as functions of the packed state and of x."""
    sizes = [part.numel() for part in factors]

    def state(packed):
        parts = packed.split(sizes)
        return Factors(*(part.view(like.shape) for part, like in zip(parts, factors, strict=True)))

    def step(packed_state, x):
        return packed(iterated(solver, problem_of(x, solver, None), state(packed_state)))

    def output(packed_state, x):
        return output_of(solver, problem_of(x, solver, None), state(packed_state)).flatten()

    return step, output


def eigenvalues(x, factors, solver=SMALL):
    step, _ = iteration(x, factors, solver)
    return torch.linalg.eigvals(jacobian(lambda s: step(s, x), packed(factors)))


def interior_problem(rank=2, rows=6, columns=8):
    """Return X and a stationary factorisation without zeros: what is left over is orthogonal to both."""
    dictionary = torch.rand(1, rows, rank, dtype=DOUBLE) + 0.1
    codes = torch.rand(1, rank, columns, dtype=DOUBLE) + 0.1
    left, right = torch.linalg.qr(dictionary)[0], torch.linalg.qr(codes.mT)[0]
    rest = 0.02 * torch.randn(1, rows, columns, dtype=DOUBLE)
    rest = rest - left @ (left.mT @ rest)
    rest = rest - (rest @ right) @ right.mT
    return dictionary @ codes + rest, Factors(dictionary, codes)


def end_with_zeros(seed=0, rows=5, columns=8, rank=2):
    torch.manual_seed(seed)
    x = torch.rand(1, rows, columns, dtype=DOUBLE) ** 3
    end = fixed_point(x, SMALL.random_dictionary((1, rows, rank), dtype=DOUBLE), SMALL, tolerance=1e-12)
    assert end.converged
    return x, end.factors


def test_without_zeros_the_fixed_points_are_a_continuum_of_rank_squared_dimensions():
    """(D Q, Q^-1 C) is one as well, for any Q near the identity: an eigenvalue of 1 for each entry of Q."""
    x, factors = interior_problem(rank=2)
    assert (x > 0).all()
    torch.testing.assert_close(packed(factors), iteration(x, factors)[0](packed(factors), x))
    values = eigenvalues(x, factors).abs()
    assert int((values > 1 - 1e-6).sum()) == 4
    assert values.max() < 1 + 1e-6
    assert values.sort().values[-5] < 0.999


def test_without_zeros_the_gradient_is_that_of_the_truncated_svd():
    """The series converges in spite of four eigenvalues of 1: the output does not move along them."""
    x, factors = interior_problem(rank=2)
    assert torch.linalg.svdvals(x)[0, 1] > torch.linalg.svdvals(x - factors.reconstruct())[0, 0]
    cotangent = torch.randn_like(x)
    found = implicit_gradient(x, factors, SMALL, cotangent)
    assert found.converged
    exact = truncated_svd_pulled_back(x[0], cotangent[0], 2)
    assert float((found.gradient[0] - exact).norm() / exact.norm()) < 1e-6


@pytest.mark.parametrize(("seed", "expected"), [(0, 2), (1, 2), (5, 3), (6, 3)])
def test_zeros_leave_fewer_directions(seed, expected):
    """Column k may be added to column l where it keeps all zeros; a column has its scale in any case."""
    x, factors = end_with_zeros(seed)
    dead_d, dead_c = factors.dictionary[0] < 1e-9, factors.codes[0] < 1e-9
    kept = sum(
        not bool((dead_d[:, to] & ~dead_d[:, of]).any() or (dead_c[of] & ~dead_c[to]).any())
        for to in range(2)
        for of in range(2)
    )
    assert kept == expected and (dead_d.any() or dead_c.any())
    values = eigenvalues(x, factors).abs()
    assert int((values > 1 - 1e-6).sum()) == expected
    assert values.sort().values[-1 - expected] < 0.999


def test_the_output_does_not_move_with_the_scales():
    x, factors = end_with_zeros()
    step, output = iteration(x, factors)
    of_step, of_output = (jacobian(lambda s, f=f: f(s, x), packed(factors)) for f in (step, output))
    for column in torch.eye(2, dtype=DOUBLE):
        along = packed(Factors(factors.dictionary * column, -factors.codes * column.unsqueeze(1)))
        torch.testing.assert_close(of_step @ along, along)
        assert (of_output @ along).abs().max() < 1e-10 < (of_output @ along.abs()).abs().max()


def test_the_series_is_the_pseudoinverse():
    """The implicit gradient is d_x g + d_s g (I - J)^+ B, the scales being left out."""
    x, factors = end_with_zeros()
    step, output = iteration(x, factors)
    state, cotangent = packed(factors), torch.randn_like(x)
    j, b = jacobian(step, (state, x))
    of_state, of_x = jacobian(output, (state, x))
    inverse = torch.linalg.pinv(torch.eye(len(state), dtype=DOUBLE) - j, rtol=1e-8)
    whole = of_x.flatten(1) + of_state @ inverse @ b.flatten(1)
    exact = (cotangent.flatten() @ whole).view_as(x)
    found = implicit_gradient(x, factors, SMALL, cotangent)
    assert float((found.gradient - exact).norm() / exact.norm()) < 1e-6


def test_an_entry_of_zero_has_its_ratio_as_eigenvalue_and_passes_nothing_on():
    x, factors = end_with_zeros()
    codes = factors.codes.where(factors.codes > 1e-9, 1e-200)
    factors = Factors(factors.dictionary.where(factors.dictionary > 1e-9, 1e-200), codes)
    dictionary = factors.dictionary
    ratios = (dictionary.mT @ x / (dictionary.mT @ dictionary @ codes))[codes == 1e-200]
    assert len(ratios) and (ratios < 1 - 1e-6).all()  # strict complementarity
    step, _ = iteration(x, factors)
    state = packed(factors)
    j, b = jacobian(step, (state, x))
    values = torch.linalg.eigvals(j)
    at = dictionary.numel() + (codes.flatten() == 1e-200).nonzero().flatten()
    for place, ratio in zip(at, ratios, strict=True):
        assert (values - ratio).abs().min() < 1e-6
        row = j[place].clone()
        assert float(row[place]) == pytest.approx(float(ratio), rel=1e-9)
        row[place] = 0
        assert row.abs().max() < 1e-190 and b[place].abs().max() < 1e-190


def test_an_exact_zero_has_no_gradient_and_needs_none():
    """The library leaves it out: what arrives at a zero goes nowhere from there, whatever its ratio."""
    x, factors = end_with_zeros()
    exact = Factors(*(part.where(part > 1e-9, 0) for part in factors))
    small = Factors(*(part.where(part > 1e-9, 1e-200) for part in factors))
    cotangent = torch.randn_like(x)
    one, other = (implicit_gradient(x, each, SMALL, cotangent).gradient for each in (exact, small))
    at = (packed(exact) == 0).nonzero().flatten()
    assert len(at) and (jacobian(lambda s: iteration(x, exact)[0](s, x), packed(exact))[at] == 0).all()
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_an_epsilon_fixes_the_scale_slowly():
    """At the fixed point each column of D has the sum of its row of C; no eigenvalue of 1 is left."""
    solver = NMF(eps=1e-2)
    torch.manual_seed(0)
    x = torch.rand(1, 5, 9, dtype=DOUBLE)
    start = solver.random_dictionary((1, 5, 2), dtype=DOUBLE)
    end = fixed_point(x, start, solver, tolerance=1e-10)
    sums = end.factors.dictionary.sum(dim=1), end.factors.codes.sum(dim=2)
    torch.testing.assert_close(*sums, rtol=1e-6, atol=0)
    assert not torch.allclose(start.sum(dim=1), sums[1], rtol=0.1)
    slow = eigenvalues(x, end.factors, solver).abs().sort().values[-2:]
    assert (slow < 1).all() and (slow > 1 - 10 * solver.eps).all()


def test_columns_in_another_order_are_another_fixed_point_with_the_same_gradient():
    x, factors = end_with_zeros()
    swapped = Factors(factors.dictionary.flip(2), factors.codes.flip(1))
    assert not torch.allclose(packed(swapped), packed(factors), atol=1e-2)
    cotangent = torch.randn_like(x)
    one, other = (implicit_gradient(x, each, SMALL, cotangent).gradient for each in (factors, swapped))
    torch.testing.assert_close(one, other)


SOLVERS = pytest.mark.parametrize("solver", [NMF(), VQ(temperature=0.1), CD(temperature=0.1)], ids=repr)


def between_positions(solver, grad_steps):
    """Return the largest derivative of a position by another one, and that by itself."""
    x = torch.rand(1, 4, 6, dtype=DOUBLE)
    start = solver.random_dictionary((1, 4, 2), dtype=DOUBLE)

    def output(x):
        return decompose(x, start, solver, steps=4, grad_steps=grad_steps).reconstruct()[0]

    blocks = jacobian(output, x)[:, :, 0].abs().amax(dim=(0, 2))  # (position of y, position of x)
    same = torch.eye(6, dtype=torch.bool)
    return float(blocks[~same].max()), float(blocks[same].max())


@SOLVERS
def test_the_one_step_gradient_tells_no_position_of_another(solver):
    apart, same = between_positions(solver, 0)
    assert apart == 0 and same > 0


@SOLVERS
@pytest.mark.parametrize("grad_steps", [1, 4])
def test_one_iteration_in_the_graph_does(solver, grad_steps):
    assert between_positions(solver, grad_steps)[0] > 1e-4


@SOLVERS
def test_over_channels_it_tells_no_channel_of_another(solver):
    """There a channel is a column: the one-step gradient does go from position to position."""
    ham = Ham(4, rank=2, solver=solver, over="channel", grad_steps=0).eval()
    x = torch.rand(1, 4, 6)
    blocks = jacobian(lambda x: ham(x)[0], x)[:, :, 0].abs()  # (channel, position, channel, position)
    channels, positions = blocks.amax(dim=(1, 3)), blocks.amax(dim=(0, 2))
    assert channels[~torch.eye(4, dtype=torch.bool)].max() == 0
    assert positions[~torch.eye(6, dtype=torch.bool)].max() > 1e-4


def test_the_final_codes_of_vq_take_lengths_for_constants():
    """So even back-propagation through all iterations is not quite the derivative of the output."""
    solver = VQ(temperature=0.1)
    x, cotangent, direction = (torch.randn(1, 4, 8, dtype=DOUBLE) for _ in range(3))
    start = solver.random_dictionary((1, 4, 2), dtype=DOUBLE)

    def value(x):
        return (decompose(x, start, solver, steps=3, grad_steps=3).reconstruct() * cotangent).sum()

    slope = float(value(x + 1e-6 * direction) - value(x - 1e-6 * direction)) / 2e-6
    wanted = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(value(wanted), wanted)
    assert float((found * direction).sum()) != pytest.approx(slope, rel=1e-3)
