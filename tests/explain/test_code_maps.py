"""Code maps are the ham's own codes; what they tell is an analysis of variance."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from subquad import create_model
from subquad.explain import code_maps, telling_columns
from subquad.nn import Ham


def tiny(**overrides):
    options = {"num_classes": 4, "backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 3}
    return create_model("light_ham_van_tiny_d256", **options | overrides)


def the_ham(network):
    (ham,) = (module for module in network.modules() if isinstance(module, Ham))
    return ham


@pytest.mark.parametrize("heads", [1, 2])
def test_maps_are_the_codes_of_what_the_ham_sees(heads):
    network = tiny(heads=heads).train()
    images = torch.randn(2, 3, 41, 56)
    maps = code_maps(network, images)
    network.eval()
    ham, seen = the_ham(network), []
    handle = ham.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(images)
        handle.remove()
        codes = ham.factorize(seen[0]).codes  # (batch * heads, rank, positions)
    height, width = seen[0].shape[2:]
    assert maps.shape == (2, heads * 3, height, width) and (height, width) != (41, 56)
    for image in range(2):
        for head in range(heads):
            for column in range(3):
                expected = codes[image * heads + head, column].view(height, width)
                torch.testing.assert_close(maps[image, head * 3 + column], expected)
    assert maps.std() > 0


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    network = tiny().train(training)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    code_maps(network, torch.randn(1, 3, 16, 16))
    with pytest.raises(ValueError, match="expected images"):
        code_maps(network, torch.randn(1, 7, 16, 16))
    assert all(module.training == training for module in network.modules())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in network.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_frozen_part_stays_frozen_while_codes_are_read():
    network = tiny().train()
    network.backbone.eval()
    code_maps(network, torch.randn(1, 3, 16, 16))
    assert network.training and not any(module.training for module in network.backbone.modules())


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (lambda: tiny(context="none"), "LightHam"),
        (lambda: nn.Sequential(Ham(4, 2, over="channel")), "Sequential"),
    ],
    ids=["no ham", "over channel"],
)
def test_without_a_ham_over_space_there_are_no_maps(network, name):
    with pytest.raises(ValueError, match=f"{name} has no ham over space"):
        code_maps(network(), torch.randn(1, 3, 16, 16))


def test_the_last_ham_counts():
    first, last = Ham(4, 2), Ham(4, 3)
    x = torch.rand(1, 4, 5, 6)
    network = nn.Sequential(first, last, Ham(4, 5, over="channel")).eval()
    expected = last.factorize(first(x)).codes.view(1, 3, 5, 6)
    torch.testing.assert_close(code_maps(network, x), expected)


def explained_by_hand(values, labels, classes):
    """Return 1 - within / total of one column, by loops over pixels."""
    pixels = [(v, k) for v, k in zip(values, labels, strict=True) if k < classes]
    mean = sum(v for v, _ in pixels) / len(pixels)
    total = sum((v - mean) ** 2 for v, _ in pixels)
    within = 0.0
    for k in {k for _, k in pixels}:
        group = [v for v, member in pixels if member == k]
        within += sum((v - sum(group) / len(group)) ** 2 for v in group)
    return 1 - within / total if total else 0.0


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans())
def test_telling_is_eta_squared(seed, classes, some_ignored):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (2, 3, 5))
    if some_ignored:
        labels[rng.random(labels.shape) < 0.3] = 255
    labels.flat[0] = 0
    maps = rng.normal(size=(2, 4, 3, 5)) + np.array([0, 1, -2, 9]).reshape(1, 4, 1, 1) * (labels % 7)[:, None]
    told = telling_columns(torch.from_numpy(maps), torch.from_numpy(labels), classes)
    expected = [explained_by_hand(maps[:, c].ravel(), labels.ravel(), classes) for c in range(4)]
    assert told.tolist() == pytest.approx(expected, abs=1e-9)
    assert ((told >= -1e-12) & (told <= 1 + 1e-12)).all()


def labels_of(seed=0, classes=3):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, classes, (2, 4, 6))).byte()


def test_a_map_of_the_class_tells_everything():
    labels = labels_of()
    indicator, three_levels = (labels == 1).float(), 5 - 2 * labels.float()
    told = telling_columns(torch.stack([indicator, three_levels], dim=1), labels, 3)
    assert told.tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e6 / 7, 1e-30])
def test_a_constant_map_tells_nothing(value):
    maps = torch.full((2, 1, 4, 6), value)
    assert telling_columns(maps, labels_of(), 3).tolist() == [0.0]


def test_a_map_with_the_same_mean_in_each_class_tells_nothing():
    labels = torch.tensor([[[0, 0, 1, 1]]])
    told = telling_columns(torch.tensor([[[[1.0, -1.0, 3.0, -3.0]]]]), labels, 2)
    assert told.tolist() == pytest.approx([0])


def test_shift_and_scale_do_not_matter():
    maps, labels = torch.rand(2, 5, 4, 6, dtype=torch.float64), labels_of()
    told = telling_columns(maps, labels, 3)
    torch.testing.assert_close(telling_columns(-7 * maps + 100, labels, 3), told)


def test_ignored_pixels_do_not_count():
    maps, labels = torch.rand(2, 3, 4, 6), labels_of()
    labels[:, 1] = 255
    told = telling_columns(maps, labels, 3)
    maps[:, :, 1] = 1e6
    torch.testing.assert_close(telling_columns(maps, labels, 3), told)
    torch.testing.assert_close(told, telling_columns(maps[:, :, [0, 2, 3]], labels[:, [0, 2, 3]], 3))


def test_nothing_labelled_tells_nothing():
    told = telling_columns(torch.rand(1, 2, 3, 3), torch.full((1, 3, 3), 255), 3)
    assert told.tolist() == [0, 0]


def test_labels_are_brought_to_the_size_of_the_maps():
    maps, labels = torch.rand(2, 3, 4, 6), labels_of()
    large = labels.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    torch.testing.assert_close(telling_columns(maps, large, 3), telling_columns(maps, labels, 3))
