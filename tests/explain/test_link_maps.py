"""Links are those that the blocks use."""

import pytest
import torch

from subquad import create_model
from subquad.explain.link_maps import averaged, links_of
from subquad.nn import Paramixer
from subquad.ops import link_mix


def test_known_links_are_told():
    """Links that are the same for all data: each factor has its own."""
    block = Paramixer(4, 6, protocol="cdil", links=3, factors=3, residual=None).eval()
    wanted = torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0], [7.0, 8.0, 9.0]])
    block.links.reset_to_constant(wanted)
    found = links_of(block, lambda: block(torch.randn(1, 10, 4)))
    assert [(each.block, each.factor) for each in found] == [(1, 1), (1, 2), (1, 3)]
    assert [each.offsets for each in found] == [(0, 1, -1), (0, 2, -2), (0, 4, -4)]
    for each, links in zip(found, wanted, strict=True):
        assert torch.equal(each.links, links.expand(10, 3))
        assert torch.equal(each.strengths, links.abs())


def test_the_block_is_the_product_of_the_links_that_are_told():
    block = Paramixer(4, 6, factors=4, residual="running").eval()
    x = torch.randn(1, 13, 4)
    found = links_of(block, lambda: block(x))
    with torch.no_grad():
        values = block.g(x)
        for each in found:
            values = link_mix(values, each.links.unsqueeze(0), each.offsets, residual=True)
        assert torch.allclose(values, block(x), atol=1e-6)


@pytest.mark.parametrize("most", [1, 500])
def test_links_that_are_computed_a_few_at_a_time_are_those_of_their_factors(monkeypatch, most):
    block, x = Paramixer(4, 6, factors=5).eval(), torch.randn(1, 33, 4)
    expected = links_of(block, lambda: block(x))
    monkeypatch.setattr("subquad.nn.links._MOST_HIDDEN", most)
    assert block.links.at_once(x) < 5
    found = links_of(block, lambda: block(x))
    assert [each.factor for each in found] == [1, 2, 3, 4, 5]
    for few, all_ in zip(found, expected, strict=True):
        assert torch.allclose(few.links, all_.links, atol=1e-6)


def test_all_blocks_are_told_in_their_order_and_left_alone():
    network = create_model(
        "paramixer_genome", vocab_size=5, num_classes=2, length=20, dim=8, hidden=8, depth=3, pooling="mean"
    ).train()
    found = links_of(network, lambda: network(torch.randint(5, (1, 20))))
    assert [(each.block, each.factor) for each in found] == [(b, f) for b in (1, 2, 3) for f in range(1, 6)]
    assert all(each.links.shape == (20, 6) for each in found)
    assert network.training and not any(module._forward_hooks for module in network.modules())


def test_without_paramixers_there_are_no_links():
    network = create_model(
        "paramixer_genome", vocab_size=5, num_classes=2, length=8, dim=8, hidden=8, context="none"
    )
    assert links_of(network, lambda: network(torch.randint(5, (1, 8)))) == []


def test_maps_are_means_of_neighbours():
    links = torch.tensor([[-1.0, 2.0], [3.0, 0.0], [0.0, 0.0], [4.0, -8.0]])
    assert averaged(links, 8).tolist() == [[1, 3, 0, 4], [2, 0, 0, 8]]
    assert averaged(links, 2).tolist() == [[2, 2], [1, 4]]
