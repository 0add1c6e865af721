"""What a decomposition leaves out, and how many directions a matrix has."""

import math

import pytest
import torch
from torch.nn import functional as F

from subquad.explain.code_maps import ham_parts
from subquad.explain.context_map import column_map, column_strengths
from subquad.explain.spectrum import (
    effective_rank,
    energy_shares,
    lengths_at,
    principal_colors,
    relative_residual,
    residual_of,
    singular_values,
    singular_values_of_product,
)
from subquad.nn import Ham
from subquad.ops import NMF, Factors, decompose


def problem(heads=2, dim=6, rank=3, positions=40):
    x = torch.rand(heads, dim, positions)
    return x, decompose(x, NMF().random_dictionary((heads, dim, rank), device="cpu"), NMF(), steps=5)


def test_reconstruction_and_residual_are_the_features():
    x, factors = problem()
    assert torch.allclose(factors.reconstruct() + residual_of(x, factors), x, atol=1e-6)
    whole = x.flatten().norm()
    assert relative_residual(x, factors) == pytest.approx(
        float((x - factors.reconstruct()).flatten().norm() / whole), rel=1e-5
    )
    assert 0 < relative_residual(x, factors) < 1


def test_a_perfect_decomposition_leaves_nothing():
    factors = Factors(torch.rand(1, 5, 2), torch.rand(1, 2, 9))
    assert relative_residual(factors.reconstruct(), factors) < 1e-7
    nothing = Factors(torch.zeros(1, 5, 2), torch.zeros(1, 2, 9))
    assert relative_residual(torch.zeros(1, 5, 9), nothing) == 0
    assert relative_residual(torch.ones(1, 5, 9), nothing) == 1


def test_lengths_are_those_of_all_heads_together():
    x = torch.tensor([[[3.0, 0.0]], [[4.0, 2.0]]])  # two heads of one channel, two positions
    assert lengths_at(x).tolist() == [5, 2]


def test_the_ham_gives_on_what_is_shown_as_its_reconstruction():
    network = torch.nn.Sequential(Ham(8, 3, heads=2), torch.nn.Identity()).eval()
    images = torch.rand(1, 8, 4, 5)
    features, factors, sides = ham_parts(network, images)
    assert features.shape == (2, 4, 20) and tuple(sides) == (4, 5)
    assert torch.equal(features.flatten(0, 1).view(8, 4, 5), images[0])
    assert torch.allclose(factors.reconstruct().flatten(0, 1).view(8, 4, 5), network(images)[0], atol=1e-6)


def test_singular_values_of_a_known_matrix():
    values = torch.tensor([5.0, 2.0, 0.5], dtype=torch.float64)
    left, _ = torch.linalg.qr(torch.randn(4, 3, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(30, 3, dtype=torch.float64))
    x = left @ values.diag() @ right.mT
    for shape in ((1, 4, 30), (2, 2, 30)):
        found = singular_values(x.reshape(shape))
        assert torch.allclose(found[:3], values) and found.shape == (4,)
        assert found[3] < 1e-12
    assert torch.allclose(singular_values(x.mT.reshape(1, 30, 4))[:3], values)  # more channels than positions
    assert energy_shares(values).tolist() == pytest.approx([25 / 29.25, 4 / 29.25, 0.25 / 29.25])


@pytest.mark.parametrize("heads", [1, 3])
def test_singular_values_of_a_product_need_no_product(heads):
    factors = Factors(torch.randn(heads, 7, 3), torch.randn(heads, 3, 20))
    found = singular_values_of_product(factors)
    expected = torch.linalg.svdvals(factors.reconstruct().double().flatten(0, 1))
    assert found.shape == (3 * heads,)
    assert torch.allclose(found, expected[: 3 * heads], atol=1e-5)


def test_effective_rank_of_what_is_known():
    assert effective_rank(singular_values(torch.ones(1, 6, 1) @ torch.rand(1, 1, 50))) == pytest.approx(
        1, abs=1e-5
    )
    assert effective_rank(singular_values(torch.eye(8).unsqueeze(0))) == pytest.approx(8)
    assert effective_rank(torch.zeros(5)) == 0
    shares = torch.tensor([0.5, 0.25, 0.25])
    assert effective_rank(4 * shares) == pytest.approx(math.exp(1.5 * math.log(2)))


def test_strengths_are_sums_of_maps_and_sum_to_one():
    _, factors = problem()
    maps = torch.stack([column_map(factors, column).sum() for column in range(6)])
    assert torch.allclose(column_strengths(factors), maps / maps.sum())
    assert float(column_strengths(factors).sum()) == pytest.approx(1)
    nothing = Factors(torch.zeros(1, 5, 2), torch.zeros(1, 2, 9))
    assert column_strengths(nothing).tolist() == [0, 0]


def test_like_features_have_like_colors():
    x = torch.rand(1, 7, 30)
    x[:, :, 3] = x[:, :, 8]
    first, second = principal_colors(x, x)
    assert first.shape == (30, 3) and torch.equal(first, second)
    assert torch.equal(first[3], first[8]) and first.min() >= 0 and first.max() <= 1
    centred = (x - x.mean(dim=2, keepdim=True))[0].double()
    main = torch.linalg.svd(centred, full_matrices=False).Vh[0]
    inside = (first[:, 0] > 0) & (first[:, 0] < 1)
    likeness = F.cosine_similarity(
        first[inside, 0] - first[inside, 0].mean(), main[inside] - main[inside].mean(), 0
    )
    assert abs(float(likeness)) > 1 - 1e-9


def test_colors_of_one_channel_and_of_equal_positions():
    first, second = principal_colors(torch.rand(1, 1, 9), torch.rand(1, 1, 9))
    assert first.shape == second.shape == (9, 3) and first[:, 1:].eq(0).all()
    same, _ = principal_colors(torch.ones(1, 4, 9), torch.ones(1, 4, 9))
    assert same.isfinite().all()
