"""Networks that come with the package: by name, small, with a card, and the numbers of their files."""

import pytest
import torch
from safetensors import safe_open

from subquad import create_model, load_model, save_model
from subquad.models.ready import READY, ready_card, ready_path

LARGEST = 10 * 2**20
SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}


@pytest.mark.parametrize("name", READY)
def test_it_is_there_small_and_told(name):
    path = ready_path(name)
    assert path.stat().st_size <= LARGEST
    network = load_model(name)
    assert not network.training
    assert len(network.config.class_names) == network.config.num_classes
    card = ready_card(name)
    for word in ("Licence", "CC0", "mean IoU", "subquad fit", "Limits"):
        assert word in card


@pytest.mark.parametrize("name", READY)
def test_a_file_of_that_name_is_meant_rather(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(create_model("light_ham_van_tiny_d256", **SMALL), tmp_path / name)
    assert ready_path(name) is None
    assert load_model(name).config.backbone == "conv_tiny"


def test_half_the_size_and_float32_again(tmp_path):
    network = create_model("light_ham_van_tiny_d256", **SMALL)
    save_model(network, tmp_path / "whole.safetensors")
    save_model(network, tmp_path / "half.safetensors", dtype=torch.float16)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    with safe_open(tmp_path / "half.safetensors", framework="pt") as file:
        assert file.get_tensor("head.squeeze.conv.weight").dtype == torch.float16
    loaded = load_model(tmp_path / "half.safetensors")
    for name, tensor in network.state_dict().items():
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(loaded.state_dict()[name], expected), name


def test_what_half_precision_cannot_hold_is_refused(tmp_path):
    network = create_model("light_ham_van_tiny_d256", **SMALL)
    network.head.squeeze.conv.weight.data[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"head.squeeze.conv.weight holds 1e\+06, .*torch.float16"):
        save_model(network, tmp_path / "half.safetensors", dtype=torch.float16)
    assert not list(tmp_path.iterdir())
