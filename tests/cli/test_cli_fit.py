"""`subquad fit` on a folder of ten pictures: what it leaves, and what it refuses."""

import csv
import shutil

import numpy as np
import pytest
import torch
import yaml
from cli_helpers import CLASSES, contents, fit_arguments
from PIL import Image

from subquad import load_model
from subquad.data import SegmentationFolder
from subquad.evaluation import ConfusionMatrix, predict_labels


def test_a_run_leaves_weights_checkpoint_recipe_and_log(call, data, tmp_path):
    run = tmp_path / "new" / "run"
    result = call(*fit_arguments(data, run, "--trainer.log_every_n_steps=1"))
    assert result.code == 0 and result.err == ""
    left = contents(run)
    assert {"best.safetensors", "last.ckpt", "config.yaml", "logs/version_0/metrics.csv"} <= left.keys()
    assert not [name for name in left if name.endswith(".tmp")]
    assert str(run / "best.safetensors") in result.out
    network = load_model(run / "best.safetensors")
    assert network.config.class_names == tuple(CLASSES) and network.config.backbone == "conv_tiny"
    options = yaml.safe_load((run / "config.yaml").read_text())
    assert options["model"]["rank"] == 4 and options["data"]["batch_size"] == 2
    with (run / "logs/version_0/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["train/loss"]) for row in rows if row["train/loss"]]
    assert len(losses) == 3 and np.isfinite(losses).all()
    (iou,) = (float(row["val/mean_iou"]) for row in rows if row["val/mean_iou"])
    matrix = ConfusionMatrix(3)
    for sample in SegmentationFolder(data, "val"):
        matrix.update(predict_labels(network, sample.image[None]), sample.labels[None])
    assert iou == pytest.approx(matrix.scores().mean_iou, abs=1e-6)
    assert f"mean IoU {100 * iou:.2f} %" in result.out


def test_the_same_command_gives_the_same_weights(call, data, trained, tmp_path):
    for name in ("one", "two"):
        assert call(*fit_arguments(data, tmp_path / name)).code == 0
    one, two, longer = (
        load_model(folder / "best.safetensors").state_dict()
        for folder in (tmp_path / "one", tmp_path / "two", trained.run)
    )
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert all(torch.equal(tensor, longer[name]) for name, tensor in one.items()), (
        "save_every changes nothing"
    )


def test_the_saved_recipe_repeats_the_run(call, trained, tmp_path):
    result = call("fit", "--config", trained.run / "config.yaml", "--output", tmp_path / "again")
    assert result.code == 0
    again = load_model(tmp_path / "again" / "best.safetensors").state_dict()
    assert all(torch.equal(t, again[name]) for name, t in load_model(trained.weights).state_dict().items())


def test_the_seed_decides_weights_and_order(call, data, tmp_path):
    """A learning rate that moves nothing leaves the first weights; another order moves them elsewhere."""

    def squeeze(name, *extra):
        assert call(*fit_arguments(data, tmp_path / name, *extra)).code == 0
        return load_model(tmp_path / name / "best.safetensors").head.squeeze.conv.weight

    still = ["--optimizer.lr=1e-30", "--optimizer.weight_decay=0"]
    assert not torch.equal(squeeze("a", *still), squeeze("b", *still, "--seed=1"))
    assert not torch.equal(squeeze("c"), squeeze("d", "--seed=1"))


def test_weights_to_start_from(call, data, trained, tmp_path):
    """With a learning rate that moves nothing, the run ends with the weights it began with."""
    extra = [f"--model.weights={trained.weights}", "--optimizer.lr=1e-30", "--optimizer.weight_decay=0"]
    result = call(*fit_arguments(data, tmp_path / "run", *extra))
    assert result.code == 0 and str(trained.weights) in result.out
    ended = dict(load_model(tmp_path / "run" / "best.safetensors").named_parameters())
    for name, parameter in load_model(trained.weights).named_parameters():
        torch.testing.assert_close(ended[name], parameter)


@pytest.mark.parametrize(
    "option",
    [
        "--ema=0.9",
        "--class_weights=log",
        "--class_weights=median",
        "--data.workers=1",
        "--data.crop=[32,40]",
        "--model.ham=none",
        "--model.solver=CD",
        "--trainer.max_steps=2",
    ],
)
def test_options_train(call, data, tmp_path, option):
    result = call(*fit_arguments(data, tmp_path / "run", option))
    assert result.code == 0, result.err
    assert (tmp_path / "run" / "best.safetensors").is_file() and (tmp_path / "run" / "last.ckpt").is_file()


def test_a_run_is_not_overwritten(complains, trained):
    before = contents(trained.run)
    complains(*fit_arguments(trained.data, trained.run), quoting=[str(trained.run), "--resume", "--output"])
    assert contents(trained.run) == before


def test_a_finished_run_may_be_resumed(call, trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    result = call(*fit_arguments(trained.data, run, "--resume", "--save_every=1"))
    assert result.code == 0 and result.err == ""
    assert contents(run)["best.safetensors"] == contents(trained.run)["best.safetensors"]


def test_resuming_where_nothing_is_starts(call, data, tmp_path):
    assert call(*fit_arguments(data, tmp_path / "run", "--resume")).code == 0
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_a_mistake_does_not_occupy_the_folder(call, complains, data, tmp_path):
    """The command with the mistake put right must run, without --resume or another folder."""
    run = tmp_path / "run"
    complains(*fit_arguments(tmp_path / "nowhere", run), quoting="nowhere")
    complains(*fit_arguments(data, run, "--data.batch_size=7"), quoting="7")
    result = call(*fit_arguments(data, run))
    assert result.code == 0, result.err


def test_nothing_labelled_still_ends_with_weights(call, data, tmp_path):
    """The mean IoU is not applicable, but the weights that are announced must be there."""
    for mask in (data / "val" / "labels").iterdir():
        Image.fromarray(np.full((40, 48), 255, np.uint8)).save(mask)
    result = call(*fit_arguments(data, tmp_path / "run"))
    announced = str(tmp_path / "run" / "best.safetensors") in result.out
    assert result.code == (0 if announced else 2)
    assert (tmp_path / "run" / "best.safetensors").is_file() == announced
