"""Which positions decide: gradients against differences, padding, groups and pieces."""

import pytest
import torch

from subquad import create_model
from subquad.explain.influence import (
    gradients_at,
    influences,
    largest_of_groups,
    shares_of,
    strongest_window,
    whole_pieces,
)


def network_of(context="paramixer", **options):
    network = create_model(
        "paramixer_genome", vocab_size=7, num_classes=3, length=16, dim=8, hidden=8, pooling="mean",
        context=context, **options,
    )  # fmt: skip
    return network.double()


def score_of(network, tokens, lengths=None, number=1):
    return lambda: network(tokens, lengths=lengths)[:, number]


@pytest.mark.parametrize("context", ["paramixer", "chordmixer", "transformer", "none"])
def test_gradients_are_central_differences(context):
    network, tokens = network_of(context), torch.randint(7, (1, 11))
    found = gradients_at(network, network.embedding, score_of(network, tokens))
    step, direction = 1e-5, torch.randn(1, 11, 8, dtype=torch.float64)
    sides = []
    for sign in (1, -1):
        handle = network.embedding.register_forward_hook(
            lambda module, arguments, output, sign=sign: output + sign * step * direction
        )
        with torch.no_grad():
            sides.append(float(network.eval()(tokens)[0, 1]))
        handle.remove()
    assert float((found * direction).sum()) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6)


def test_a_position_alone_is_a_difference_of_its_vector():
    network, tokens = network_of(), torch.randint(7, (1, 5))
    found = influences(gradients_at(network, network.embedding, score_of(network, tokens)))
    network.eval()
    partial = []
    for channel in range(8):
        nudge = torch.zeros(1, 5, 8, dtype=torch.float64)
        nudge[0, 3, channel] = 1e-5
        sides = []
        for sign in (1, -1):
            handle = network.embedding.register_forward_hook(lambda m, a, out, by=sign * nudge: out + by)
            with torch.no_grad():
                sides.append(float(network(tokens)[0, 1]))
            handle.remove()
        partial.append((sides[0] - sides[1]) / 2e-5)
    assert float(found[0, 3]) == pytest.approx(float(torch.tensor(partial).norm()), rel=1e-5)


@pytest.mark.parametrize("context", ["paramixer", "chordmixer", "transformer", "none"])
def test_padding_decides_exactly_nothing(context):
    network, tokens = network_of(context), torch.randint(7, (2, 12))
    lengths = torch.tensor([12, 5])
    found = influences(gradients_at(network, network.embedding, score_of(network, tokens, lengths)))
    assert found[1, 5:].eq(0).all() and found[0].gt(0).all() and found[1, :5].gt(0).all()
    alone = influences(gradients_at(network, network.embedding, score_of(network, tokens[1:, :5])))
    assert torch.allclose(found[1, :5], alone[0], rtol=1e-5)


def test_what_is_not_seen_decides_nothing():
    network, tokens = network_of("none"), torch.randint(7, (1, 6))
    found = gradients_at(
        network, network.embedding, lambda: (network(tokens), network.classifier.bias[:1])[1]
    )
    assert found.shape == (1, 6, 8) and found.eq(0).all()


def test_the_network_is_left_as_it_was():
    network, tokens = network_of().train(), torch.randint(7, (1, 6))
    with torch.inference_mode():
        gradients_at(network, network.embedding, score_of(network, tokens))
    assert network.training and all(p.grad is None for p in network.parameters())
    assert not network.embedding._forward_hooks


def test_shares_sum_to_one():
    assert sum(shares_of(torch.rand(50))) == pytest.approx(1)
    assert shares_of(torch.zeros(3)) == [0, 0, 0]


def test_groups_keep_the_peak_of_each():
    values = [0.0] * 1000
    values[617] = 1.0
    middles, largest = largest_of_groups(values, 10)
    assert len(middles) == 10 and largest == [0.0] * 6 + [1.0] + [0.0] * 3
    assert middles[0] == 49.5 and middles[-1] == 949.5
    assert largest_of_groups([1, 2, 3], 10) == ([0, 1, 2], [1, 2, 3])
    assert largest_of_groups([], 4) == ([], [])


def test_the_window_holds_what_decides_most():
    values = [0.0] * 100
    values[60:63] = [1.0, 2.0, 1.0]
    assert strongest_window(values, 3) == slice(60, 63)
    assert strongest_window([1.0] * 5, 3) == slice(0, 3)
    assert strongest_window([1.0] * 3, 5) == slice(0, 3)


def test_letters_of_several_bytes_have_the_shares_of_all():
    assert whole_pieces(["a", "", "ä", "b"], [0.1, 0.2, 0.3, 0.4]) == [
        ("a", 0.1), ("ä", pytest.approx(0.5)), ("b", 0.4)
    ]  # fmt: skip
    assert whole_pieces(["a", ""], [0.5, 0.0]) == [("a", 0.5), ("\N{REPLACEMENT CHARACTER}", 0.0)]
