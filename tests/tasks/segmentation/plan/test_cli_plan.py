"""`subquad plan PATH`, and `fit PATH` without options: chosen, said, written, kept when a run goes on."""

import json
import re
import shlex
from html import unescape

import numpy as np
import pytest
import yaml
from PIL import Image

from cli_helpers import TINY, write_data
from subquad.engine.plain_yaml import read_yaml
from subquad.engine.plan import PLAN, planned_in
from subquad.tasks import task_called
from subquad.tasks.fitting import fit_parser
from subquad.tasks.segmentation.plan import planner
from subquad.tasks.segmentation.plan.facts import Facts


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


def small(facts, chosen):
    return 32, "a test has little time"


@pytest.fixture
def small_network(monkeypatch):
    """The plan's own network trains for seconds a step on a loaded machine; this one does not."""
    options = {"model.backbone": "conv_tiny", "model.ham_channels": 32, "model.channels": 32, "model.rank": 4}
    rules = {name: rule for name, rule in planner.RULES.items() if name != "model.pretrained"}
    rules["model.name"] = lambda facts, chosen: ("light_ham_van_tiny_d256", "a test")
    rules |= {name: lambda facts, chosen, value=value: (value, "a test") for name, value in options.items()}
    rules["trainer.max_epochs"] = lambda facts, chosen: (2, "a test has little time")
    # The network first: others count its memory.
    ordered = {name: rules[name] for name in ("model.name", *options)} | rules
    monkeypatch.setattr(planner, "RULES", ordered)


def test_a_plan_is_printed_and_written_as_a_recipe(call, data, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    printed = call("plan", data, f"--output={recipe}", "--data.batch_size=3", "--seed=5").out
    assert "6 pictures to train, 4 to evaluate, 40 x 48 pixels (median)" in printed
    assert f"subquad fit --config {recipe}" in printed
    content = read_yaml(recipe)
    network = {"name": "light_ham_efficientnet_lite0", "pretrained": "efficientnet_lite0"}
    assert content["model"] == network | {"resize": [72, 60]}
    assert content["data"]["batch_size"] == 3  # as it was given
    assert content["data"]["root"] == str(data)
    assert content["seed"] == 5
    assert "output" not in content
    assert all("  # " in line for line in recipe.read_text().splitlines() if line.startswith("  "))


def test_a_recipe_that_is_there_stays_and_the_plan_is_told(call, data, tmp_path):
    place = tmp_path / "plan.yaml"
    place.write_text("mine")
    result = call("plan", data, f"--output={place}")
    assert result.code == 2 and f"{place} is there already; give --overwrite" in result.err
    assert "plan:\n" in result.out
    assert place.read_text() == "mine"


def test_published_sets_have_no_plan(complains, tmp_path):
    place = tmp_path / "p.yaml"
    complains("plan", "--data.name=scenes", f"--output={place}", quoting="there is no plan for these data")
    assert not place.exists()


def test_fit_without_options_follows_the_plan(call, data, tmp_path, small_network):
    run = tmp_path / "run"
    printed = call("fit", data, f"--output={run}", "--data.batch_size=2", "--trainer.accelerator=cpu").out
    told, config = json.loads((run / PLAN).read_text()), yaml.safe_load((run / "config.yaml").read_text())
    assert "plan:" in printed
    chosen = {choice["option"]: choice for choice in told["choices"]}
    assert config["data"]["batch_size"] == chosen["data.batch_size"]["value"] == 2
    assert chosen["data.batch_size"]["given"] and not chosen["data.crop"]["given"]
    assert config["model"]["backbone"] == "conv_tiny"
    assert config["data"]["crop"] == chosen["data.crop"]["value"]
    assert "patience" not in chosen and config["patience"] is None  # two evaluations need none


def test_a_run_that_goes_on_keeps_its_plan(call, data, tmp_path, small_network, monkeypatch):
    """The machine has other memory now, and the plan would be another."""
    run = tmp_path / "run"
    command = ["fit", data, f"--output={run}", "--trainer.accelerator=cpu"]
    call(*command)
    before = (run / PLAN).read_text()
    monkeypatch.setitem(planner.RULES, "data.batch_size", lambda facts, chosen: (1, "another machine"))
    again = call(*command, "--resume")
    assert again.code == 0, again.err
    assert (run / PLAN).read_text() == before
    assert "plan:" not in again.out


def test_another_run_starts_from_the_weights_of_a_planned_one(call, data, tmp_path):
    """As the report says: though the plan named another start, and on the same split with any seed."""
    one, run = tmp_path / "one", tmp_path / "run"
    (data / "train").rename(one)
    (data / "classes.json").rename(one / "classes.json")
    more = ["--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--data.batch_size=4"]
    more += ["--data.crop=[32, 32]", "--report_samples=1"]
    assert call("fit", one, f"--output={run}", *more).code == 0
    assert read_yaml(run / "config.yaml")["model"]["pretrained"] == "efficientnet_lite0"
    printed = re.findall(r"<pre>(.*?)</pre>", (run / "report.html").read_text())
    (fit,) = [shlex.split(unescape(command))[1:] for command in printed if "subquad fit" in command]
    again = call(*fit, "--seed=1", "--report_samples=0")
    assert again.code == 0, again.err
    assert f"{run / 'best.safetensors'}: loaded" in again.out
    model = read_yaml(tmp_path / "run-2" / "config.yaml")["model"]
    assert (model["pretrained"], model["weights"]) == (None, str(run / "best.safetensors"))
    first, second = (json.loads((folder / "split.json").read_text()) for folder in (run, tmp_path / "run-2"))
    assert first["val"] == second["val"] and first["train"] == second["train"]


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ([], "both"),
        (["--model.weights=w.safetensors"], "weights"),
        (["--model.pretrained=efficientnet_lite1"], "pretrained"),
        (["--model.weights=w.safetensors", "--model.pretrained=efficientnet_lite1"], "both"),
        (["--model.weights=null"], "pretrained"),
    ],
)
def test_of_two_starts_the_one_on_the_command_line_counts(tmp_path, said, start):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: {pretrained: efficientnet_lite0, weights: other.safetensors}")
    arguments = ["--config", str(recipe), *said]
    options = fit_parser(task_called("segmentation"), arguments).parse_args()
    starts = {name for name in ("weights", "pretrained") if options.model[name]}
    assert starts == ({"weights", "pretrained"} if start == "both" else {start})
    # The weights of a run are of the network that the recipe makes.
    is_kept = start == "weights" and "--model.weights=w.safetensors" in said
    assert options.model.backbone == ("timm/tf_efficientnet_lite0" if is_kept else None)


@pytest.mark.parametrize("said", [["--plan=false"], TINY])
def test_who_says_how_is_not_overruled(call, data, tmp_path, said):
    run = tmp_path / "run"
    more = [*TINY, "--trainer.max_steps=1", "--data.batch_size=2", "--trainer.accelerator=cpu"]
    call("fit", f"--data.root={data}", f"--output={run}", *said, *more)
    assert not (run / PLAN).exists()
    assert yaml.safe_load((run / "config.yaml").read_text())["optimizer"]["lr"] == 6e-5


def test_the_rest_can_be_asked_for(call, data, tmp_path):
    run = tmp_path / "run"
    more = ["--model.detail=0", "--trainer.max_steps=1", "--data.batch_size=2", "--trainer.accelerator=cpu"]
    call("fit", data, f"--output={run}", *TINY, *more, "--plan=true")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["optimizer"]["lr"] == pytest.approx(8e-4 * (2 / 8) ** 0.5)
    assert config["model"]["backbone"] == "conv_tiny"


def test_a_damaged_plan_is_told(tmp_path):
    (tmp_path / PLAN).write_text('{"choices": [{}]}')
    with pytest.raises(ValueError, match=r"plan.json is damaged \(KeyError\)"):
        planned_in(tmp_path)


def test_a_plan_reads_as_a_parser_wants_it(data):
    """Each value that a rule can choose is one of its option."""
    facts = Facts(
        10,
        2,
        3000,
        4000,
        ("left", "b"),
        (0.99, 0.01),
        3,
        16,
        2**40,
        "GPU",
        True,
        ("efficientnet_lite2",),
    )
    values = planner.make_plan(facts, {}).values()
    p = fit_parser(task_called("segmentation"))
    p.set_defaults(values)
    options = p.instantiate(p.parse_args([]))
    assert tuple(options.data.crop) == tuple(values["data.crop"])
    assert list(values) == list(planner.RULES) or {*planner.RULES} - {*values} <= {
        "data.brightness", "data.contrast", "data.saturation", "trainer.accumulate_grad_batches",
    }  # fmt: skip


def test_how_one_folder_is_divided_is_part_of_the_plan(call, data, tmp_path):
    (tmp_path / "one").mkdir()
    for kind in ("images", "labels"):
        (data / "train" / kind).rename(tmp_path / "one" / kind)
    (data / "classes.json").rename(tmp_path / "one" / "classes.json")
    printed = call("plan", tmp_path / "one", f"--output={tmp_path / 'plan.yaml'}").out
    assert "5 pictures to train, 1 to evaluate" in printed
    assert "seed" in printed.partition("plan:")[0]


def test_classes_that_nothing_names_are_counted_in_the_masks(call, data, tmp_path):
    (data / "classes.json").unlink()
    printed = call("plan", data, f"--output={tmp_path / 'plan.yaml'}")
    assert printed.code == 0, printed.err
    assert "3 classes" in printed.out
    assert read_yaml(tmp_path / "plan.yaml")["data"]["num_classes"] == 3


@pytest.mark.parametrize("values", [[1, 2], [0, 2], [0, 255], [0]])
def test_values_that_leave_open_what_they_mean_are_asked_about(complains, data, tmp_path, values):
    (data / "classes.json").unlink()
    for path in data.rglob("labels/*.png"):
        mask = np.resize(np.array(values, np.uint8), (40, 48))
        Image.fromarray(mask).save(path)
    assert "the classes of" in complains("plan", data, f"--output={tmp_path / 'plan.yaml'}")


def test_a_network_that_was_trained_on_reduced_pictures_is_shown_reduced_ones():
    """And a protocol that is asked for is followed."""
    import torch

    from subquad import create_model
    from subquad.tasks.segmentation.labels import predict_labels
    from subquad.tasks.segmentation.protocol import PROTOCOLS, EvaluationProtocol

    options = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 5}
    torch.manual_seed(0)
    network = create_model("light_ham_van_tiny_d256", **options).eval()
    reduced = create_model("light_ham_van_tiny_d256", **options, resize=(64, 48)).eval()
    reduced.load_state_dict(network.state_dict())
    picture = torch.randint(0, 256, (1, 3, 192, 256), dtype=torch.uint8)
    by_hand = predict_labels(network, picture, EvaluationProtocol(resize=(64, 48)))
    assert torch.equal(predict_labels(reduced, picture), by_hand)
    assert not torch.equal(predict_labels(network, picture), by_hand)
    asked = PROTOCOLS["voc_val"]
    assert torch.equal(predict_labels(reduced, picture, asked), predict_labels(network, picture, asked))


def test_an_empty_folder_and_a_wrong_path_are_told_first(complains, tmp_path):
    (tmp_path / "empty").mkdir()
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.safetensors").write_bytes(b"a run")
    complains("fit", tmp_path / "nosuch", f"--output={run}", quoting="there is no folder")
    complains(
        "fit", tmp_path / "empty", f"--output={tmp_path}/a", quoting=["is empty; put pictures into", "masks"]
    )
