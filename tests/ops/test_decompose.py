"""All three solvers: the original numbers, and the promises that do not depend on the solver."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import load_case, relative_error, solver_of
from subquad.ops import CD, NMF, VQ, decompose

SOLVERS = [NMF(), VQ(), VQ(temperature=1.0), CD(), CD(temperature=1.0)]
CASES = ["solver_nmf", "solver_cd_t10", "solver_cd_t100", "solver_vq_t10", "solver_vq_t100"]
each_solver = pytest.mark.parametrize("solver", SOLVERS, ids=str)

pytestmark = pytest.mark.usefixtures("deterministic")


def problem(dim=12, rank=5, positions=30, batch=2, solver=SOLVERS[0], dtype=torch.float64):
    x = torch.randn(batch, dim, positions, dtype=dtype).relu()
    return x, solver.random_dictionary((batch, dim, rank), dtype=dtype)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("dtype", "forward", "gradient"), [(torch.float64, 1e-6, 1e-6), (torch.float32, 1e-5, 1e-4)]
)
@pytest.mark.parametrize("policy", ["one_step", "bptt"])
def test_original_numbers(name, dtype, forward, gradient, policy):
    case = load_case(name)
    x = torch.tensor(case.x, dtype=dtype, requires_grad=True)
    steps = case.meta["steps"]
    factors = decompose(
        x,
        torch.tensor(case.D0, dtype=dtype),
        solver_of(case.meta),
        steps=steps,
        grad_steps=0 if policy == "one_step" else steps,
    )
    reconstruction = factors.reconstruct()
    (reconstruction * torch.tensor(case.g)).sum().backward()
    assert relative_error(factors.dictionary, case.dictionary) < forward
    assert relative_error(factors.codes, case.codes) < forward
    assert relative_error(reconstruction, case.recon) < forward
    assert relative_error(x.grad, getattr(case, f"grad_{policy}")) < gradient


@each_solver
@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e-3, 1.0, 1e4, 1e12])
@pytest.mark.parametrize("signed", [False, True])
def test_any_scale_is_finite_and_never_worse_than_zero(solver, scale, signed):
    x = torch.randn(2, 24, 40)
    x = scale * (x if signed else x.abs())
    x.requires_grad_()
    for grad_steps in (0, 6):
        start = solver.random_dictionary((2, 24, 6))
        reconstruction = decompose(x, start, solver, steps=6, grad_steps=grad_steps).reconstruct()
        gradient = torch.autograd.grad((reconstruction / scale).sum(), x)[0]
        assert reconstruction.isfinite().all() and gradient.isfinite().all()
        unit = x.detach().double() / scale
        error = unit - reconstruction.detach().double() / scale
        assert error.norm() <= unit.norm() * (1 + 1e-6)


@pytest.mark.parametrize("grad_steps", [0, 3, 6])
@pytest.mark.parametrize("outlier", [1e15, 1e25, 1e30])
@pytest.mark.parametrize("everywhere", [False, True])
def test_nmf_of_an_outlier_has_a_gradient(grad_steps, outlier, everywhere):
    """A gradient is multiplied by X before it is divided by its unit, which once overflowed."""
    x = torch.rand(2, 8, 20)
    if everywhere:
        x *= outlier
    else:
        x[0, 3, 5] = outlier
    x.requires_grad_()
    reconstruction = decompose(
        x, NMF().random_dictionary((2, 8, 4)), NMF(), steps=6, grad_steps=grad_steps
    ).reconstruct()
    reconstruction.sum().backward()
    assert reconstruction.isfinite().all() and x.grad.isfinite().all() and x.grad.abs().max() > 0


@pytest.mark.parametrize("solver", [VQ(), CD()], ids=str)
@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_vq_and_cd_are_scale_equivariant(solver, scale):
    x, start = problem(solver=solver)
    expected = decompose(x, start, solver, steps=6).reconstruct()
    actual = decompose(scale * x, start, solver, steps=6).reconstruct() / scale
    assert relative_error(actual, expected) < 1e-3


@each_solver
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (2, 7, 1), (1, 1, 9), (2, 3, 5)], ids=lambda s: "x".join(map(str, s))
)
def test_small_shapes_and_rank_above_both_sides(solver, shape):
    x = torch.rand(shape, requires_grad=True)
    start = solver.random_dictionary((shape[0], shape[1], 11))
    reconstruction = decompose(x, start, solver, steps=3, grad_steps=3).reconstruct()
    reconstruction.sum().backward()
    assert reconstruction.shape == shape
    assert reconstruction.isfinite().all() and x.grad.isfinite().all()


@each_solver
def test_zeros_stay_zeros(solver):
    x = torch.zeros(2, 6, 8, requires_grad=True)
    start = solver.random_dictionary((2, 6, 3))
    for grad_steps in (0, 4):
        reconstruction = decompose(x, start, solver, steps=4, grad_steps=grad_steps).reconstruct()
        assert torch.equal(reconstruction, torch.zeros_like(x))
        assert torch.autograd.grad(reconstruction.sum(), x)[0].isfinite().all()


@each_solver
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mean", [0.0, 5.0, 1e4])
def test_half_precision_input_is_finite(solver, dtype, mean):
    x = (torch.randn(2, 32, 500).relu() + mean).to(dtype).requires_grad_()
    start = solver.random_dictionary((2, 32, 8))
    reconstruction = decompose(x, start, solver, steps=6, grad_steps=6).reconstruct()
    exact = decompose(x.detach().double(), start, solver, steps=6).reconstruct()
    reconstruction.sum().backward()
    assert x.grad.isfinite().all()
    # Computed in float32 whatever came in; 0.01 would pass in half precision, 1e-3 does not.
    assert relative_error(reconstruction, exact) < 1e-3


@each_solver
def test_autocast_does_not_reach_the_solver(solver):
    x, start = problem(solver=solver, dtype=torch.float32)
    expected = decompose(x, start, solver, steps=6).reconstruct()
    with torch.autocast("cpu", torch.bfloat16):
        factors = decompose(x, start, solver, steps=6)
    assert factors.dictionary.dtype == torch.float32
    assert torch.equal(factors.dictionary @ factors.codes, expected)


@each_solver
@settings(deadline=None, max_examples=20)
@given(valid=st.integers(1, 29), steps=st.integers(1, 4), bptt=st.booleans())
def test_masked_equals_cropped(solver, valid, steps, bptt):
    torch.manual_seed(valid)
    x, start = problem(solver=solver)
    x.requires_grad_()
    mask = torch.zeros(2, 30, dtype=torch.bool)
    mask[:, torch.randperm(30)[:valid]] = True
    cropped = x[mask.unsqueeze(1).expand_as(x)].view(2, 12, valid)
    options = {"steps": steps, "grad_steps": steps if bptt else 0}
    padded = torch.where(mask.unsqueeze(1), x, torch.nan)  # whatever the padding holds

    expected = decompose(cropped, start, solver, **options).reconstruct()
    actual = decompose(padded, start, solver, mask=mask, **options).reconstruct()
    assert torch.equal(actual[~mask.unsqueeze(1).expand_as(x)], torch.zeros(2 * 12 * (30 - valid)).double())
    inside = actual[mask.unsqueeze(1).expand_as(x)].view_as(expected)
    torch.testing.assert_close(inside, expected, rtol=1e-9, atol=1e-12)

    weights = torch.randn_like(x)
    gradient = torch.autograd.grad((actual * weights).sum(), x, retain_graph=True)[0]
    assert torch.count_nonzero(gradient[~mask.unsqueeze(1).expand_as(x)]) == 0


@each_solver
def test_gradient_policies_share_the_forward_pass(solver):
    x, start = problem(solver=solver)
    results = [decompose(x.requires_grad_(), start, solver, steps=5, grad_steps=g) for g in range(6)]
    for result in results[1:]:
        assert torch.equal(result.codes, results[0].codes)
    gradients = [torch.autograd.grad(r.reconstruct().square().sum(), x)[0] for r in results]
    for shorter, longer in pairwise(gradients):
        assert not torch.equal(shorter, longer)  # each policy sees one iteration more


def test_one_step_memory_does_not_grow_with_the_steps():
    x, start = problem()

    def saved(steps, grad_steps):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            decompose(x.clone().requires_grad_(), start, NMF(), steps=steps, grad_steps=grad_steps)
        return sum(kept)

    assert saved(2, 0) == saved(12, 0)
    assert saved(12, 12) > 3 * saved(2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 4)}, "must be \\(batch, dim, positions\\), got \\(3, 4\\)"),
        ({"x": torch.zeros(2, 9, 4)}, "the dictionary must be .* got \\(2, 12, 5\\)"),
        ({"x": torch.zeros(2, 12, 4, dtype=torch.int64)}, "floating point type, got torch.int64"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"grad_steps": 7}, "grad_steps must be 0 .* got 7"),
        ({"mask": torch.ones(2, 30)}, "mask must be boolean"),
        ({"mask": torch.ones(2, 4, dtype=torch.bool)}, "mask must be .* got \\(2, 4\\)"),
    ],
)
def test_bad_arguments_are_quoted(change, message):
    x, start = problem()
    options = {"x": x, "dictionary": start, "solver": NMF(), "steps": 6} | change
    with pytest.raises(ValueError, match=message):
        decompose(options.pop("x"), options.pop("dictionary"), options.pop("solver"), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NMF(eps=0),
        lambda: VQ(temperature=0),
        lambda: CD(temperature=-1),
        lambda: CD(ridge=0),
    ],
)
def test_bad_hyper_parameters_raise(make):
    with pytest.raises(ValueError, match="must be positive"):
        make()
