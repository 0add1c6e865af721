"""`subquad fit` on a folder of ten pictures: what it leaves, and what it refuses."""

import csv
import re
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from cli_helpers import CLASSES, contents, fit_arguments
from nightly import some_by_day
from subquad import load_model
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.labels import predict_labels


def test_a_run_leaves_weights_checkpoint_recipe_and_log(call, data, tmp_path):
    run = tmp_path / "new" / "run"
    result = call(*fit_arguments(data, run, "--trainer.log_every_n_steps=1"))
    assert result.code == 0 and result.err == ""
    assert "step 3/3: train/loss" in result.out and "left 0:00:00" in result.out
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


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model.steps=2"], True),
        (["--model.steps=2", "--model.eval_steps=7"], False),
        (["--model.steps=7"], False),
        (["--model.steps=6"], False),
        (["--model.steps=2", "--model.context=none"], False),
    ],
)
def test_iterations_of_training_alone_are_noted(options, told, call, data, tmp_path):
    result = call(*fit_arguments(data, tmp_path, "--trainer.max_steps=1", *options))
    assert result.code == 0
    assert result.err == (
        "note: --model.steps 2, but evaluation takes 7 steps, the default of light_ham_van_tiny_d256; "
        "--model.eval_steps 2 evaluates it as it is trained.\n"
        if told
        else ""
    )


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


BY_DAY = [
    "--ema=0.9",
    "--class_weights=log",
    "--data.workers=1",
    "--model.solver=CD",
    "--loss.lovasz=1.0",
    "--loss.ohem_threshold=0.7",
    "--optimizer.kind=sgd",
    "--protocol.flip=true",
    "--freeze=backbone",
]
AT_NIGHT = [
    "--class_weights=median",
    "--data.crop=[32,40]",
    "--model.context=none",
    "--trainer.max_steps=2",
    "--loss.normalize=all",
    "--loss.dice=0.5",
    "--optimizer.exempt=backbone_norms_but_stem",
]


@pytest.mark.parametrize("option", some_by_day([*BY_DAY, *AT_NIGHT], BY_DAY.__contains__))
def test_options_train(call, data, tmp_path, option):
    result = call(*fit_arguments(data, tmp_path / "run", option))
    assert result.code == 0, result.err
    assert (tmp_path / "run" / "best.safetensors").is_file() and (tmp_path / "run" / "last.ckpt").is_file()


def test_the_weights_at_the_end_are_left_too(call, data, tmp_path):
    """Whatever their score, and the moving average if there is one; `test` takes them, too."""
    for name, *extra in (("plain",), ("ema", "--ema=0.9")):
        run = tmp_path / name
        assert call(*fit_arguments(data, run, *extra)).code == 0
        # One evaluation, at the end: what is best is what is last.
        last, best = (load_model(run / f"{kind}.safetensors").state_dict() for kind in ("last", "best"))
        assert all(torch.equal(tensor, best[name]) for name, tensor in last.items())
        content = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
        assert content.keys() == {f"network.{name}" for name in last}
    later = call(
        *fit_arguments(
            data, tmp_path / "later", "--trainer.max_epochs=3", "--trainer.check_val_every_n_epoch=2"
        )
    )
    assert later.code == 0
    last = load_model(tmp_path / "later" / "last.safetensors").state_dict()
    content = torch.load(tmp_path / "later" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(tensor, content[f"network.{name}"]) for name, tensor in last.items())


def test_a_second_stage_starts_from_the_end_of_the_first(call, data, trained, tmp_path):
    still = ["--optimizer.lr=1e-30", "--optimizer.weight_decay=0"]
    result = call(
        *fit_arguments(data, tmp_path / "two", f"--model.weights={trained.run / 'last.safetensors'}", *still)
    )
    assert result.code == 0, result.err
    ended = dict(load_model(tmp_path / "two" / "last.safetensors").named_parameters())
    for name, parameter in load_model(trained.run / "last.safetensors").named_parameters():
        torch.testing.assert_close(ended[name], parameter)


def test_frozen_parts_and_the_options_of_loss_and_optimiser_reach_training(call, data, trained, tmp_path):
    result = call(
        "fit", "--config", trained.run / "config.yaml", f"--model.weights={trained.weights}",
        "--freeze", "backbone", "head.squeeze", f"--output={tmp_path / 'run'}", "--optimizer.lr=0.1",
        "--optimizer.kind=sgd", "--loss.cross_entropy=0", "--loss.dice=2", "--trainer.log_every_n_steps=1",
    )  # fmt: skip
    assert result.code == 0, result.err
    before, after = (
        load_model(path).state_dict() for path in (trained.weights, tmp_path / "run" / "last.safetensors")
    )
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert moved and not [n for n in moved if n.startswith(("backbone.", "head.squeeze."))]
    with (tmp_path / "run/logs/version_0/metrics.csv").open(newline="") as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert losses and all(0 < loss < 2 for loss in losses), "twice a Dice loss"
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert saved["freeze"] == ["backbone", "head.squeeze"]
    assert saved["loss"]["dice"] == 2 and saved["optimizer"]["kind"] == "sgd"


def test_evaluation_while_training_follows_the_protocol(call, data, trained, tmp_path):
    from subquad.tasks.segmentation.protocol import EvaluationProtocol, predict_scores

    result = call(
        *fit_arguments(data, tmp_path / "run", "--protocol.scales=[0.5,1.0]", "--protocol.flip=true")
    )
    assert result.code == 0, result.err
    protocol = EvaluationProtocol(scales=(0.5, 1.0), flip=True)
    network, matrix = load_model(tmp_path / "run" / "best.safetensors"), ConfusionMatrix(3)
    for sample in SegmentationFolder(data, "val"):
        answers = predict_scores(network, sample.image[None], protocol).argmax(dim=1)
        matrix.update(answers, sample.labels[None])
    assert f"mean IoU {100 * matrix.scores().mean_iou:.2f} %" in result.out


def test_impossible_options_are_said(complains, data, tmp_path):
    for option, quoting in {
        "--optimizer.min_lr=1": "min_lr",
        "--loss.cross_entropy=0": "loss.dice",
        "--loss.normalize=none": "none",
        "--protocol.stride=[8,8]": "window",
        "--freeze=bakbone": "bakbone",
    }.items():
        complains(*fit_arguments(data, tmp_path / "run", option), quoting=quoting)


def test_batch_norm_is_not_synchronised_on_a_cpu(complains, data, tmp_path):
    """Before any process is started, and before the folder is made."""
    extra = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.sync_batchnorm=true"]
    complains(*fit_arguments(data, tmp_path / "run", *extra), quoting=["2 processes", "sync_batchnorm"])
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten(complains, trained):
    before = contents(trained.run)
    complains(*fit_arguments(trained.data, trained.run), quoting=[str(trained.run), "--resume", "--output"])
    assert contents(trained.run) == before


def test_a_finished_run_may_be_resumed(call, trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    result = call(*fit_arguments(trained.data, run, "--resume", "--save_every=1"))
    assert result.code == 0 and result.err == ""
    assert "training had ended before, at step" in result.out
    assert contents(run)["best.safetensors"] == contents(trained.run)["best.safetensors"]


def test_going_on_takes_the_options_of_the_run_in_the_usual_folder(call, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = [*fit_arguments(data, tmp_path, "--optimizer.lr=1e-3")]
    first = [argument for argument in first if not argument.startswith("--output")]
    assert call(*first).code == 0
    assert (tmp_path / "runs" / "fit" / "last.ckpt").is_file()
    again = call("fit", "--resume")
    assert again.code == 0, again.err
    wrong = call("fit", "--resume", "--optimizer.rate=1")
    assert wrong.err.startswith("subquad fit: with the options of runs/fit/config.yaml: ")


def test_the_table_at_the_end_is_of_the_last_evaluation(call, data, tmp_path):
    length = ["--trainer.max_epochs=3", "--trainer.max_steps=-1", "--trainer.check_val_every_n_epoch=2"]
    told = call(*fit_arguments(data, tmp_path / "run", *length))
    assert re.findall(r"^step (\d+)/9: ", told.out, re.MULTILINE) == ["6", "9"]  # in its turn, and at the end
    assert "the last evaluation, at step 9:" in told.out
    again = call(*fit_arguments(data, tmp_path / "run", *length, "--resume"))
    assert "the last evaluation, at step 9:" in again.out
    assert again.out.splitlines()[-1] == told.out.splitlines()[-1]  # which are the best


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
