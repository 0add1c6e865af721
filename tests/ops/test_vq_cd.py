"""VQ and CD against what defines them: means, directions and ridge regression."""

import pytest
import torch

from helpers import relative_error
from subquad.ops import CD, VQ, decompose

pytestmark = pytest.mark.usefixtures("deterministic")


def clusters():
    """Return 60 columns around three orthogonal directions, and which is which."""
    which = torch.arange(60) % 3
    x = torch.eye(8, dtype=torch.float64)[:, which] * torch.linspace(1, 3, 60, dtype=torch.float64)
    return (x + 0.01 * torch.randn_like(x)).unsqueeze(0), which


def test_hard_vq_is_spherical_k_means():
    x, which = clusters()
    start = torch.eye(8, dtype=torch.float64)[:, :3] + 0.2
    factors = decompose(x, start, VQ(temperature=1e-3), steps=5)
    means = torch.stack([x[0, :, which == k].mean(dim=1) for k in range(3)], dim=1)
    assert relative_error(factors.dictionary[0], means) < 1e-3
    assert torch.equal(factors.codes[0].argmax(dim=0), which)


def test_vq_codes_are_weights():
    x, _ = clusters()
    codes = decompose(x, VQ().random_dictionary((1, 8, 5), dtype=x.dtype), VQ(0.1), steps=4).codes
    assert (codes >= 0).all()
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(1, 60, dtype=torch.float64))


def test_cd_codes_solve_the_ridge_regression():
    x = torch.randn(2, 10, 30, dtype=torch.float64)
    solver = CD(temperature=0.1, ridge=0.3)
    start = solver.random_dictionary((2, 10, 4), dtype=x.dtype)
    dictionary, codes = decompose(x, start, solver, steps=3)
    torch.testing.assert_close(dictionary.norm(dim=1), torch.ones(2, 4, dtype=x.dtype))
    # The gradient of |X - D C|^2 + ridge |C|^2 vanishes.
    gradient = dictionary.mT @ (dictionary @ codes - x) + 0.3 * codes
    assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("grad_steps", [3])
def test_gradcheck_of_cd(grad_steps):
    x = torch.randn(2, 5, 7, dtype=torch.float64, requires_grad=True)
    solver = CD(temperature=0.5)
    start = solver.random_dictionary((2, 5, 3), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, d: decompose(x, d, solver, steps=3, grad_steps=grad_steps).reconstruct(),
        (x, start),
    )


def test_one_step_gradient_of_vq_sees_the_direction_only():
    """The norms are constant in the last assignment: the analytic Jacobian with them held fixed."""
    x = torch.randn(1, 6, 5, dtype=torch.float64, requires_grad=True)
    solver = VQ(temperature=0.5)
    start = solver.random_dictionary((1, 6, 3), dtype=x.dtype)
    dictionary, codes = decompose(x, start, solver, steps=2)
    unit = dictionary / dictionary.norm(dim=1, keepdim=True)
    norms = x.detach().norm(dim=1, keepdim=True) + 1e-6
    same = dictionary.detach() @ (unit.detach().mT @ (x / norms) / 0.5).softmax(dim=1)
    weights = torch.randn_like(x)
    expected = torch.autograd.grad((same * weights).sum(), x)[0]
    actual = torch.autograd.grad(((dictionary @ codes) * weights).sum(), x)[0]
    torch.testing.assert_close(actual, expected)


def test_an_empty_cluster_stays_finite():
    x = torch.ones(1, 4, 6)
    start = torch.stack([torch.ones(4), -torch.ones(4)], dim=1)  # nothing is near the second
    for solver in (VQ(), CD()):
        assert decompose(x, start, solver, steps=6).reconstruct().isfinite().all()
