"""Values of any scale: the defaults of `subquad fit` learn from them, and scores tell how well."""

import csv
import json

import pytest
import torch

from subquad.models import load_model, model_config
from subquad.tasks.fitting import fit_parser
from subquad.tasks.sequences.data import SequenceData
from subquad.tasks.sequences.network import resolve
from subquad.tasks.sequences.task import TASK


def table(path, scale=30.0, count=48, regression=False):
    """Write sequences whose mean, of all positions alike, tells the label."""
    torch.manual_seed(0)
    with path.open("w") as file:
        for _ in range(count):
            shift = float(torch.rand(()))
            values = (torch.rand(int(torch.randint(20, 30, ()))) + shift) * scale
            label = shift * 1000 if regression else "high" if shift > 0.5 else "low"
            file.write(json.dumps({"sequence": values.tolist(), "label": label}) + "\n")
    return path


def fit_arguments(path, out, *extra):
    arguments = ["--data.file", str(path), "--data.tokens", "numbers", "--output", str(out)]
    fixed = ["--data.batch_size=8", "--trainer.accelerator=cpu", "--optimizer.warmup_steps=0"]
    return ["fit", *arguments, *fixed, *extra]


def resolved(path, *arguments):
    options = fit_parser(TASK).parse_args(["--data.file", str(path), "--data.tokens", "numbers", *arguments])
    options = fit_parser(TASK).instantiate(options)
    return resolve(options.model, SequenceData(options.data))


@pytest.mark.parametrize("scale", [1e-6, 30.0, 1e30])
@pytest.mark.parametrize("name", ["paramixer", "paramixer_text"])
def test_the_first_loss_of_values_of_any_scale_is_that_of_guessing(tmp_path, scale, name):
    path = table(tmp_path / "t.jsonl", scale)
    config = resolved(path, "--model.name", name, "--model.pooling", "mean")
    torch.manual_seed(0)
    network = config.build()
    x = torch.tensor([json.loads(line)["sequence"][:20] for line in path.read_text().splitlines()])
    outputs = network(x.unsqueeze(-1))
    assert outputs.isfinite().all()
    assert outputs.abs().max() < 5  # of random factors without norms: 1e6 and more
    assert outputs.std(dim=0).min() > 1e-3  # and the network sees the values


def test_published_networks_of_values_and_told_options_stay_as_they_are(tmp_path):
    path = table(tmp_path / "t.jsonl")
    assert not resolved(path, "--model.name", "paramixer_adding").norm
    kept = resolved(
        path, "--model.name", "paramixer_text", "--model.pooling", "mean", "--model.norm", "false"
    )
    assert (kept.norm, kept.start) == (False, "uniform")
    fixed = resolved(path, "--model.name=paramixer_text", "--model.pooling=mean", "--model.residual=fixed")
    assert (fixed.norm, fixed.start) == (True, "identity")
    assert not model_config("paramixer_text").norm


@pytest.mark.slow
def test_a_regression_learns_targets_of_any_scale_and_tells_how_well(tmp_path, call):
    path = table(tmp_path / "t.jsonl", count=80, regression=True)
    out, scores = tmp_path / "run", tmp_path / "scores.json"
    options = "--data.task=regression", "--trainer.max_epochs=12", "--optimizer.lr=5e-3"
    small = "--model.dim=16", "--model.hidden=16", "--model.dropout=0"
    said = call(*fit_arguments(path, out, "--model.name=paramixer", *options, *small))
    assert said.code == 0, said.err
    for name in ("mean absolute error", "root mean squared error", "R²"):
        assert name in said.out
    assert call("test", out, "--json", scores).code == 0
    found = json.loads(scores.read_text())
    assert found["r2"] > 0.7
    assert found["mae"] <= found["rmse"] < 160  # the deviation of the targets is 290
    assert load_model(out / "best.safetensors").config.target_std == pytest.approx(290, rel=0.15)
    predictions = tmp_path / "p.csv"
    assert call("predict", out, path, "--output", predictions).code == 0
    told = [float(row["prediction"]) for row in csv.DictReader(predictions.read_text().splitlines())]
    true = [json.loads(line)["label"] for line in path.read_text().splitlines()]
    assert torch.corrcoef(torch.tensor([told, true]))[0, 1] > 0.9
