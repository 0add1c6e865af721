"""Options that mean the same have the same name in all commands."""

import json

import pytest

from subquad.cli import convert
from subquad.engine import trainer_options
from subquad.engine.parsing import Parser
from subquad.models import create_model


def test_what_models_cost_is_written_as_json(call, complains, tmp_path):
    path = tmp_path / "models.json"
    assert call("models", "van_tiny", f"--json={path}").code == 0
    (found,) = json.loads(path.read_text())["models"]
    assert found["name"] == "van_tiny" and found["size"] == 224
    assert found["parameters"] == sum(p.numel() for p in create_model("van_tiny").parameters())
    path.write_text("{}")
    complains("models", "van_tiny", f"--json={path}", quoting=[str(path), "is not of `subquad models`"])


def test_a_network_is_described_as_json(call, complains, trained, tmp_path):
    path = tmp_path / "info.json"
    assert call("info", trained.run, "--json", path).code == 0
    found = json.loads(path.read_text())
    assert found["family"] == "light_ham" and found["config"]["class_names"] == ["road", "sky", "car"]
    assert found["parameters"]["total"] == found["parameters"]["backbone"] + found["parameters"]["head"]
    assert found["not_finite"] == []
    complains("info", trained.weights, "--json", trained.weights, quoting="another --json")


def test_what_is_wrong_with_data_is_written_as_json(call, data, tmp_path):
    path = tmp_path / "data.json"
    assert call("data", "check", data, "--json", path).code == 0
    found = json.loads(path.read_text())
    assert (found["task"], found["format"], found["ok"]) == ("segmentation", "folder", True)
    (data / "val" / "labels" / "val0.png").unlink()
    assert call("data", "check", data, "--json", path).code == 2
    found = json.loads(path.read_text())
    assert not found["ok"] and "val0" in found["problems"][0]


def test_a_device_is_told_as_in_other_commands(call, complains, trained, monkeypatch):
    seen = []

    class Trainer:
        def __init__(self, **options):
            seen.append(options)
            raise ValueError("seen.")

    monkeypatch.setattr("lightning.pytorch.Trainer", Trainer)
    for device in ("cpu", "cuda", "cuda:1"):
        monkeypatch.setattr("subquad.engine.bounds.check_device", lambda name: None)
        complains("test", trained.run, f"--device={device}", quoting="seen")
    assert [(one["accelerator"], one["devices"]) for one in seen] == [("cpu", 1), ("cuda", 1), ("cuda", [1])]
    monkeypatch.undo()
    complains("test", trained.run, "--device=abacus", quoting="--device abacus")
    complains(
        "test", trained.run, "--device=cpu", "--trainer.accelerator=cpu",
        quoting="--device cpu and --trainer.accelerator",
    )  # fmt: skip
    assert call("test", trained.run, "--device=cpu").code == 0


def test_training_is_told_by_lightning_s_options_alone():
    p = Parser()
    trainer_options.add_trainer_options(p)
    assert "device" not in p.parse_args([])


@pytest.mark.parametrize("option", ["--output", "--to"])
def test_where_a_conversion_goes_has_an_older_name(option):
    p = convert.parser()
    assert p.parse_args(["w.pth", option, "a.safetensors"]).output == "a.safetensors"


@pytest.mark.parametrize("option", ["--share_dictionary", "--share-dictionary"])
def test_dashes_are_taken_for_underscores(complains, trained, option):
    """It gets as far as asking for tiles."""
    complains("predict", trained.run, trained.data / "val" / "images", option, quoting="--tile")
    p = convert.parser()
    p.add_argument("--max_pixels", type=int, default=0)
    assert p.parse_args(["w.pth", "--output=a", "--max-pixels=3"]).max_pixels == 3


def test_the_same_option_is_a_checkpoint_for_all(complains):
    for command in ("test", "predict", "generate", "export", "info", "convert"):
        complains(command, quoting="checkpoint")
