"""Codes for a fixed dictionary: each position alone, and the codes of `decompose` where those are settled."""

from itertools import pairwise

import pytest
import torch

from helpers import relative_error
from subquad.ops import CD, NMF, VQ, decompose, encode

SOLVERS = [NMF(), VQ(), VQ(temperature=1.0), CD(), CD(temperature=1.0)]
each_solver = pytest.mark.parametrize("solver", SOLVERS, ids=str)
pytestmark = pytest.mark.usefixtures("deterministic")


def problem(solver=SOLVERS[0], dim=12, rank=5, positions=30, dtype=torch.float64):
    x = torch.randn(2, dim, positions, dtype=dtype).relu()
    return x, solver.random_dictionary((2, dim, rank), dtype=dtype)


def residual(x, dictionary, codes):
    return float((x - dictionary @ codes).norm())


def test_nmf_never_increases_the_residual():
    for scale in (1e-3, 1.0, 1e3):
        x, dictionary = problem()
        x = scale * x
        errors = [residual(x, dictionary, encode(x, dictionary, NMF(), steps=k)) for k in range(1, 30)]
        assert all(b <= a * (1 + 1e-9) for a, b in pairwise(errors))
        assert errors[-1] < errors[0] <= float(x.norm())


@pytest.mark.parametrize("steps", [1, 4])
def test_nmf_is_its_formula(steps):
    x, dictionary = problem()
    codes = (dictionary.mT @ x).softmax(dim=1)
    for _ in range(steps + 1):
        codes = codes * (dictionary.mT @ x) / (dictionary.mT @ dictionary @ codes + 1e-6)
    torch.testing.assert_close(encode(x, dictionary, NMF(), steps=steps), codes)


def test_nmf_reaches_non_negative_least_squares():
    """The problem is convex: its conditions of optimality say when the answer is reached."""
    x, dictionary = problem()
    codes = encode(x, dictionary, NMF(eps=1e-12), steps=20_000)
    gradient = dictionary.mT @ (dictionary @ codes - x)
    assert codes.min() >= 0 and gradient.min() > -1e-3
    assert (gradient * codes).abs().max() < 1e-3


@each_solver
def test_the_dictionary_of_decompose_gives_its_reconstruction(solver):
    x, start = problem(solver)
    dictionary, codes = decompose(x, start, solver, steps=20)
    again = encode(x, dictionary, solver, steps=20)
    # VQ and CD: the last codes depend on the dictionary alone. NMF has found better ones since.
    assert relative_error(dictionary @ again, dictionary @ codes) < (
        0.1 if isinstance(solver, NMF) else 1e-12
    )
    assert residual(x, dictionary, again) <= 1.02 * residual(x, dictionary, codes)


@each_solver
def test_each_position_is_encoded_alone(solver):
    x, dictionary = problem(solver)
    whole = encode(x, dictionary, solver, steps=4)
    order = torch.randperm(30)
    torch.testing.assert_close(encode(x[..., order], dictionary, solver, steps=4), whole[..., order])
    parts = [encode(part, dictionary, solver, steps=4) for part in x.split(7, dim=-1)]
    torch.testing.assert_close(torch.cat(parts, dim=-1), whole)
    samples = [encode(x[b : b + 1], dictionary[b], solver, steps=4) for b in range(2)]
    torch.testing.assert_close(torch.cat(samples), whole)


@each_solver
def test_masked_positions_have_no_codes_and_change_nothing(solver):
    x, dictionary = problem(solver)
    mask = torch.rand(2, 30) > 0.4
    whole = encode(x, dictionary, solver, steps=3)
    padded = torch.where(mask.unsqueeze(1), x, torch.nan)
    codes = encode(padded, dictionary, solver, steps=3, mask=mask)
    torch.testing.assert_close(codes, whole.where(mask.unsqueeze(1), 0))


@each_solver
def test_the_gradient_is_that_of_the_last_update(solver):
    x, dictionary = problem(solver)
    dictionary.requires_grad_()
    encode(x.requires_grad_(), dictionary, solver, steps=4).square().sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() > 0
    if isinstance(solver, NMF):
        # With the codes before it held constant, the last update is linear in X.
        codes = encode(x.detach(), dictionary.detach(), solver, steps=3)
        overlap = (dictionary.detach().mT @ dictionary.detach()) @ codes + 1e-6
        reached = encode(x.detach(), dictionary.detach(), solver, steps=4)
        expected = dictionary.detach() @ (2 * reached * codes / overlap)
        torch.testing.assert_close(x.grad, expected)


@each_solver
def test_half_precision_and_autocast(solver):
    x, dictionary = problem(solver, dtype=torch.float32)
    expected = encode(x, dictionary, solver, steps=3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encode(x, dictionary, solver, steps=3), expected)
    half = encode(x.half(), dictionary, solver, steps=3)
    assert half.dtype == torch.float32 and half.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 4)}, "must be \\(batch, dim, positions\\), got \\(3, 4\\)"),
        ({"dictionary": torch.zeros(2, 9, 4)}, "the dictionary must be .* got \\(2, 9, 4\\)"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"mask": torch.ones(2, 30)}, "mask must be boolean"),
    ],
)
def test_bad_arguments_are_quoted(change, message):
    x, dictionary = problem()
    options = {"x": x, "dictionary": dictionary, "steps": 6} | change
    with pytest.raises(ValueError, match=message):
        encode(options.pop("x"), options.pop("dictionary"), NMF(), **options)
