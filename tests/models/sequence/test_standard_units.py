"""Real values in standard units are a part of the network: of its configuration, its file and its numbers."""

import pytest
import torch

from subquad import create_model, load_model, save_model
from subquad.models.sequence.standard_units import StandardUnits

UNITS = {"mean": (100.0, -3.0), "std": (20.0, 0.5)}
VALUES = {
    "vocab_size": None,
    "in_features": 2,
    "length": 16,
    "dim": 8,
    "hidden": 8,
    "depth": 1,
    "dropout": 0.0,
}


def network(**options):
    torch.manual_seed(0)
    return create_model("paramixer", **VALUES | options).eval()


def in_units(x):
    return (x - torch.tensor(UNITS["mean"])) / torch.tensor(UNITS["std"])


def test_raw_values_give_what_values_in_standard_units_give_without():
    x = torch.randn(2, 9, 2) * 10 + 50
    assert torch.allclose(network(**UNITS)(x), network()(in_units(x)), rtol=1e-6)


def test_a_regression_answers_in_the_units_of_its_targets():
    x, options = torch.randn(3, 9, 2), {"num_classes": 1, "regression": True}
    there = network(**options, target_mean=1000.0, target_std=50.0)
    assert torch.allclose(there(x), network(**options)(x) * 50 + 1000)


def test_padding_may_still_hold_anything():
    x = torch.randn(2, 9, 2)
    x[1, 4:] = torch.nan
    there = network(**UNITS)
    assert torch.allclose(there(x, lengths=torch.tensor([9, 4]))[1], there(x[1:, :4])[0], atol=1e-6)


def test_the_file_keeps_them(tmp_path):
    saved = network(**UNITS, num_classes=1, regression=True, target_mean=7.0, target_std=2.0)
    save_model(saved, tmp_path / "m.safetensors")
    loaded, x = load_model(tmp_path / "m.safetensors"), torch.randn(1, 5, 2)
    assert torch.equal(loaded(x), saved(x))
    assert not [name for name in saved.state_dict() if "units" in name]  # as the weights of old files


def test_they_survive_the_meta_device():
    with torch.device("meta"):
        units = StandardUnits(*UNITS.values())
    units.to_empty(device="cpu").reset_parameters()
    x = torch.randn(4, 2)
    assert torch.equal(units(x), in_units(x))
    assert torch.allclose(units.restore(units(x)), x, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mean": (0.0,), "std": (1.0, 1.0)}, "mean needs"),
        ({"mean": (0.0, 0.0)}, "go together"),
        ({"mean": (0.0, 0.0), "std": (1.0, 0.0)}, "above 0"),
        ({"mean": (0.0, float("nan")), "std": (1.0, 1.0)}, "finite"),
        ({"target_std": -1.0}, "above 0"),
        ({"target_mean": float("inf")}, "finite"),
    ],
)
def test_units_that_mean_nothing_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        network(**options)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_of_the_network_leaves_them_in_float32(half):
    x, told = torch.randn(2, 9, 2) * 20 + 100, {"num_classes": 1, "regression": True}
    there = network(**UNITS, **told, target_mean=1e6, target_std=1e5)
    found = there.to(half)(x)
    assert found.dtype == torch.float32
    assert torch.allclose(found, there.float()(x), rtol=0.02)
    assert there.units.mean.dtype == torch.float32
