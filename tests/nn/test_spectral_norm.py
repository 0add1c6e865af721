"""Spectral norm: singular values, the gradient of its formula, what is kept and when."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from helpers import relative_error
from subquad.nn import SpectralNorm, spectral_norm


def largest(weight):
    return torch.linalg.svdvals(weight.detach().flatten(1).double())[0].item()


def rounds(module, count):
    for _ in range(count):
        _ = module.weight


LAYERS = {
    "linear": lambda: nn.Linear(7, 5),
    "wide": lambda: nn.Linear(40, 3),
    "convolution": lambda: nn.Conv2d(3, 6, 3),
    "pointwise": lambda: nn.Conv2d(8, 4, 1),
    "embedding": lambda: nn.Embedding(10, 6),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_norm_becomes_one(kind):
    layer = LAYERS[kind]()
    with torch.no_grad():
        layer.weight.mul_(3)
    before = layer.weight.detach().clone()
    spectral_norm(layer)
    assert torch.equal(layer.parametrizations.weight.original, before)
    assert layer.parametrizations.weight[0].u.numel() == before[0].numel(), "the input side"
    rounds(layer, 300)
    assert largest(layer.weight) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(layer.weight * largest(before), before, rtol=1e-4, atol=1e-5)


def test_at_most_one_shrinks_what_is_larger_and_leaves_what_is_smaller():
    for size, expected in ((0.4, 0.4), (5.0, 1.0)):
        layer = nn.Linear(9, 6)
        with torch.no_grad():
            layer.weight.mul_(size / largest(layer.weight))
        before = layer.weight.detach().clone()
        spectral_norm(layer, exact=False)
        rounds(layer, 300)
        assert largest(layer.weight) == pytest.approx(expected, abs=1e-5)
        assert torch.equal(layer.weight, before) == (size < 1)


def test_one_access_is_one_round_from_the_stored_vector():
    layer = spectral_norm(nn.Conv2d(2, 3, 3))
    norm = layer.parametrizations.weight[0]
    matrix, u = layer.parametrizations.weight.original.detach().flatten(1), norm.u.clone()
    v = matrix @ u / (matrix @ u).norm()
    new = matrix.T @ v / (matrix.T @ v).norm()
    expected = matrix / (v @ matrix @ new)
    torch.testing.assert_close(layer.weight.flatten(1), expected)
    torch.testing.assert_close(norm.u, new)


def test_evaluation_makes_a_round_and_keeps_nothing():
    layer = spectral_norm(nn.Linear(6, 5))
    rounds(layer, 2)
    layer.eval()
    u = layer.parametrizations.weight[0].u.clone()
    first, second = layer.weight, layer.weight
    assert torch.equal(first, second) and torch.equal(layer.parametrizations.weight[0].u, u)
    layer.train()
    assert torch.equal(layer.weight, first), "the same round"
    assert not torch.equal(layer.parametrizations.weight[0].u, u)
    u = layer.parametrizations.weight[0].u.clone()
    with parametrize.cached():
        rounds(layer, 5)
    once = layer.parametrizations.weight[0].u.clone()
    layer.parametrizations.weight[0].u.copy_(u)
    rounds(layer, 1)
    assert torch.equal(layer.parametrizations.weight[0].u, once), "cached: one round"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("size", [0.3, 4.0])
def test_the_gradient_is_that_of_the_formula(exact, size):
    """Of W / s with s = v' W u and constant u, v, written out: (G - <G, N> v u') / s."""
    layer = nn.Linear(6, 4).double()
    with torch.no_grad():
        layer.weight.mul_(size / largest(layer.weight))
    spectral_norm(layer, exact=exact)
    rounds(layer, 100)
    weight, towards = layer.weight, torch.randn(4, 6, dtype=torch.float64)
    (weight * towards).sum().backward()
    original = layer.parametrizations.weight.original
    u = layer.parametrizations.weight[0].u
    v = original.detach() @ u / (original.detach() @ u).norm()
    sigma = v @ original.detach() @ u
    if exact or sigma > 1:
        expected = (towards - (towards * weight.detach()).sum() * torch.outer(v, u)) / sigma
    else:
        expected = towards
    assert relative_error(original.grad, expected) < 1e-9


def test_two_accesses_before_one_backward():
    layer = spectral_norm(nn.Linear(5, 5))
    x = torch.randn(3, 5)
    (layer(x).sum() + layer(-2 * x).square().sum()).backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-8, 1e8])
def test_any_scale_is_finite(exact, scale):
    layer = nn.Linear(6, 4, bias=False)
    with torch.no_grad():
        layer.weight.mul_(scale)
    spectral_norm(layer, exact=exact)
    layer(torch.randn(3, 6)).sum().backward()
    original = layer.parametrizations.weight.original
    assert layer.weight.isfinite().all() and original.grad.isfinite().all()
    with torch.no_grad():
        original.copy_(torch.randn(4, 6))
    rounds(layer, 300)
    assert largest(layer.weight) <= 1 + 1e-5, "a zero weight did not spoil the vector"
    assert not exact or largest(layer.weight) > 1 - 1e-5


def test_float32_under_autocast_and_half_precision():
    layer = spectral_norm(nn.Linear(300, 200))
    layer.eval()
    plain = layer.weight
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.weight, plain)
        assert layer(torch.randn(2, 300)).dtype == torch.bfloat16
    half = layer.bfloat16().weight
    assert half.dtype == torch.bfloat16 and relative_error(half, plain) < 0.01


def test_state_dict_copy_and_assignment():
    layer = spectral_norm(nn.Linear(4, 3))
    rounds(layer, 3)
    assert set(layer.state_dict()) == {
        "bias", "parametrizations.weight.original", "parametrizations.weight.0.u",
    }  # fmt: skip
    other = spectral_norm(nn.Linear(4, 3))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.eval().weight, layer.eval().weight)
    assert torch.equal(copy.deepcopy(layer).weight, layer.weight)
    layer.weight = torch.eye(3, 4)
    assert torch.equal(layer.parametrizations.weight.original, torch.eye(3, 4))
    assert "exact=True" in repr(layer)


def test_compiles_in_one_graph():
    layer = spectral_norm(nn.Linear(6, 5), exact=False)
    twin, x = copy.deepcopy(layer), torch.randn(2, 6)
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    for _ in range(3):
        torch.testing.assert_close(compiled(x), layer(x))
    torch.testing.assert_close(twin.parametrizations.weight[0].u, layer.parametrizations.weight[0].u)


def test_a_vector_has_no_spectral_norm():
    with pytest.raises(ValueError, match=r"needs a floating point weight .* got torch.float32 \(3,\)"):
        SpectralNorm(torch.ones(3))
