"""What a position is made of, and what is like it."""

import torch
from torch.nn import functional as F

from subquad.explain.context_map import column_map, column_shares, context_map
from subquad.ops import Factors


def factors(heads=1):
    return Factors(torch.rand(heads, 6, 3), torch.rand(heads, 3, 10))


def test_the_context_is_the_cosine_of_reconstructions():
    for found in (factors(), factors(heads=2)):
        x = found.reconstruct().flatten(0, 1)  # all heads together
        for position in (0, 7):
            expected = F.cosine_similarity(x[:, [position]], x, dim=0)
            assert torch.allclose(context_map(found, position), expected, atol=1e-6)


def test_the_scale_of_columns_does_not_matter():
    found = factors(heads=2)
    scale = torch.rand(2, 1, 3) + 0.1
    other = Factors(found.dictionary * scale, found.codes / scale.mT)
    assert torch.allclose(context_map(found, 3), context_map(other, 3), atol=1e-6)
    assert torch.allclose(column_shares(found, 3), column_shares(other, 3), atol=1e-6)
    assert torch.allclose(column_map(found, 4), column_map(other, 4), atol=1e-6)


def test_shares_and_maps_agree():
    found = factors(heads=2)
    maps = torch.stack([column_map(found, column) for column in range(6)])
    assert torch.allclose(column_shares(found, 8), maps[:, 8] / maps[:, 8].sum())
    assert torch.allclose(maps[4], found.dictionary[1, :, 1].norm() * found.codes[1, 1])


def test_a_position_of_nothing_is_like_nothing():
    found = factors()
    found.codes[:, :, 2] = 0
    assert context_map(found, 2).tolist() == [0] * 10
    assert context_map(found, 1)[2] == 0 and column_shares(found, 2).tolist() == [0] * 3
