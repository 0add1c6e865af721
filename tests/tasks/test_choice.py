"""Which task the arguments mean, and that both passes mean the same checkpoint."""

import json

import pytest

from subquad import create_model, save_model
from subquad.models import SequenceConfig
from subquad.tasks import task_of
from subquad.tasks.choice import task_to_ask, task_to_check, task_to_fit

SMALL = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}


def told(*arguments):
    return task_to_fit(list(arguments)).name


def recipe(path, text):
    path.write_text(text)
    return f"--config={path}"


def test_what_comes_last_counts(tmp_path):
    """Each config.yaml names its task, which goes with its network: another network is of another task."""
    sequences = recipe(tmp_path / "a.yaml", "task: sequences\nmodel:\n  name: paramixer\n")
    pictures = recipe(tmp_path / "b.yaml", "model:\n  name: light_ham_van_tiny\n")
    assert told() == told("--seed=3") == "segmentation"
    assert told(sequences) == told(pictures, sequences) == "sequences"
    assert told(sequences, pictures) == told(sequences, "--model.name=light_ham_van_tiny") == "segmentation"
    assert told(recipe(tmp_path / "c.yaml", "task: generation\n")) == "generation"
    assert told(recipe(tmp_path / "d.yaml", "model.name: hamgan_baby\n")) == "generation"
    assert told(sequences, "--config") == "sequences", "what is wrong is for the parser of that task to say"
    with pytest.raises(ValueError, match="--task generation, but --model.name paramixer is of the task seq"):
        told("--task", "generation", sequences)


def test_a_value_that_is_a_checkpoint_is_not_the_checkpoint(complains, tmp_path):
    """Another run among the arguments must not lend its data and protocol to the one that is evaluated."""
    for name, made in (
        ("old", create_model("paramixer_order", vocab_size=6, length=16, dim=8, hidden=8)),
        ("new", create_model("light_ham_van_tiny_d256", **SMALL)),
    ):
        (tmp_path / name).mkdir()
        save_model(made, tmp_path / name / "best.safetensors")
    task, found = task_to_ask(["--data.root", str(tmp_path / "old"), str(tmp_path / "new")])
    assert task.name == "sequences" and found == tmp_path / "old"
    # The second pass finds out, and asks the task of the right one.
    complains(
        "test",
        "--data.root",
        tmp_path / "old",
        tmp_path / "new",
        quoting=[str(tmp_path / "old"), "has no split 'val'"],
    )


def test_a_network_of_no_task_is_said():
    class Homeless(SequenceConfig):
        family, task = "homeless", None

    with pytest.raises(ValueError, match="a Homeless does not say which task it is for"):
        task_of(Homeless(num_classes=2))


def test_the_value_of_an_option_is_not_the_path_to_check(tmp_path):
    (tmp_path / "names.json").write_text("{}")
    assert task_to_check(["--classes", str(tmp_path / "names.json"), str(tmp_path)])[0].name == "segmentation"
    assert task_to_check([str(tmp_path / "names.json"), "--classes", "x"])[0].name == "sequences"


def test_weights_beside_a_config_of_something_else_are_asked(call, tmp_path):
    """A config.yaml without the options of a run is no run's."""
    from PIL import Image

    save_model(create_model("light_ham_van_tiny_d256", **SMALL), tmp_path / "w.safetensors")
    (tmp_path / "config.yaml").write_text("server: 8080\n")
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    result = call("predict", tmp_path / "w.safetensors", tmp_path / "a.png", "--output", tmp_path / "out")
    assert result.code == 0, result.err


def test_files_of_other_commands_are_left_alone(complains, tmp_path):
    """Not every JSON with the key "data" or "task" is a report of ours."""
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"version": "1.1", "data": [1], "task": "qa", "models": [], "network": "x"}))
    before = path.read_bytes()
    (tmp_path / "table.csv").write_text("sequence,label\nab,0\nba,1\n")
    for arguments in (["data", "check", tmp_path / "table.csv"], ["models"], ["info", "conv_tiny"]):
        complains(*arguments, "--json", path, quoting=[str(path), "is not of `subquad"])
    assert path.read_bytes() == before
