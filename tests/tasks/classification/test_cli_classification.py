"""The commands on pictures with classes: fit, test, predict, data check, export, replay, resume."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Timer
from PIL import Image

from classification_data import NAMES, fit_classes, write_classes, write_picture
from cli_helpers import contents
from helpers import load_case, weights_of
from subquad import create_model, load_model, save_model
from subquad.cli.main import main
from subquad.tasks import task_called, task_of
from subquad.tasks.classification.data.module import ClassificationData
from subquad.tasks.classification.data.names import read_names
from subquad.tasks.classification.data.options import PictureOptions
from subquad.tasks.classification.learner import ClassificationLearner

MIXED = ["--mix.mixup=0.8", "--mix.cutmix=1", "--mix.erasing=0.5", "--mix.label_smoothing=0.1"]


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """A finished run; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("classified")
    write_classes(folder / "data")
    arguments = fit_classes(
        folder / "data",
        folder / "run",
        "--optimizer.lr=0.01",
        "--trainer.max_epochs=4",
        "--data.crop_ratio=0.8",
    )
    assert main(arguments) == 0
    return SimpleNamespace(
        run=folder / "run", data=folder / "data", weights=folder / "run" / "best.safetensors"
    )


def losses(run):
    """Return the loss of each step, of all that a run logged."""
    found = {}
    for path in sorted(run.glob("logs/*/metrics.csv")):
        with path.open() as file:
            found |= {
                int(row["step"]): row["train/loss"] for row in csv.DictReader(file) if row["train/loss"]
            }
    return found


def table_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_it_learns_colours_and_knows_its_data(classified, call, tmp_path):
    config = load_model(classified.weights).config
    assert (config.class_names, config.image_size, config.in_channels) == (NAMES, 20, 3)
    assert task_of(config) is task_called("classification")
    result = call("test", classified.run, "--json", tmp_path / "scores.json")
    assert (result.code, result.err) == (0, "")
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["task"] == "classification" and scores["top1"] == 1 and scores["top5"] is None
    assert scores["confusion"] == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    assert {one["name"]: one["recall"] for one in scores["classes"]} == dict.fromkeys(NAMES, 1.0)
    for said in ("12 pictures", "top-1 accuracy", "precision %", "true classes (rows)"):
        assert said in result.out
    other = call("test", classified.weights, f"--data.root={classified.data}", "--data.eval_batch_size=5")
    assert other.code == 0 and "100.00 %" in other.out


def test_predictions_of_a_folder_and_of_one_picture(classified, call, complains, tmp_path):
    rng = np.random.default_rng(1)
    photos = [write_picture(tmp_path / "p" / f"{name}.png", 2 - i, rng) for i, name in enumerate(NAMES)]
    out = tmp_path / "table.csv"
    result = call("predict", classified.run, tmp_path / "p", "--output", out, "--batch_size=2")
    assert (result.code, result.err) == (0, "") and "wrote 3 predictions" in result.out
    rows = table_of(out)
    assert [(row["path"], row["prediction"]) for row in rows] == [
        (str(path), path.stem) for path in sorted(photos)
    ]
    assert list(rows[0]) == ["path", "prediction", *(f"p({name})" for name in NAMES)]
    assert sum(float(rows[0][f"p({name})"]) for name in NAMES) == pytest.approx(1, abs=1e-5)
    complains("predict", classified.run, photos[0], "--output", out, quoting=[str(out), "--overwrite"])
    assert call("predict", classified.weights, photos[1], "--output", out, "--overwrite").code == 0
    assert table_of(out) == [rows[1]], "by itself as among others"
    (tmp_path / "p" / "a.png").write_bytes(photos[0].read_bytes()[:60])
    sentence = complains(
        "predict", classified.run, tmp_path / "p", "--output", out, "--overwrite", quoting="a.png"
    )
    assert "the other 3 are in" in sentence and len(out.read_text().splitlines()) == 4
    (tmp_path / "empty").mkdir()
    complains("predict", classified.run, tmp_path / "empty", quoting="holds no picture")
    complains("predict", classified.run, tmp_path / "none", quoting="there is no picture or folder")
    complains(
        "predict",
        classified.run,
        photos[1],
        "--max_pixels=5",
        f"--output={tmp_path / 'x.csv'}",
        quoting="--max_pixels",
    )


def test_what_is_predicted_is_what_is_evaluated(classified, call, tmp_path):
    """The table of `predict`, and the batches of an evaluation of the same pictures."""
    network = load_model(classified.weights)
    assert network.config.crop_ratio == 0.8
    options = PictureOptions(root=str(classified.data), eval_batch_size=5, crop_ratio=0.8)
    learner = ClassificationLearner(network).eval()
    expected = {}
    data = ClassificationData(options, 0, training=False, size=20)
    for batch in data.val_dataloader():
        with torch.no_grad():
            shares = learner.outputs_of(batch).double().softmax(1)
        files = [data.datasets["val"].files[index] for index in batch["index"].tolist()]
        expected |= {str(path): row for path, row in zip(files, shares, strict=True)}
    for name in NAMES:
        out = tmp_path / f"{name}.csv"
        assert call("predict", classified.run, classified.data / "val" / name, "--output", out).code == 0
        for row in table_of(out):
            found = torch.tensor([float(row[f"p({name})"]) for name in NAMES], dtype=torch.float64)
            torch.testing.assert_close(found, expected[row["path"]], atol=2e-6, rtol=0)


def test_the_interpolation_of_training_is_that_of_test_and_predict(call, tmp_path):
    """Pictures of 20 pixels are brought to 25: bilinear, as the checkpoint says where the run is not read."""
    data, run, out = write_classes(tmp_path / "data"), tmp_path / "run", tmp_path / "out"
    extra = ["--data.interpolation=bilinear", "--data.crop_ratio=0.8", "--trainer.max_epochs=1"]
    assert call(*fit_classes(data, run, *extra)).code == 0
    weights = run / "best.safetensors"
    assert load_model(weights).config.interpolation == "bilinear"

    def loss(*arguments):
        assert call("test", *arguments, f"--json={out}.json").code == 0
        return json.loads(out.with_suffix(".json").read_text())["loss"]

    own = loss(run)
    assert loss(weights, f"--data.root={data}") == own
    other = loss(weights, f"--data.root={data}", "--data.interpolation=bicubic")
    assert abs(other - own) > 1e-5, "what is asked for counts, and matters"
    missed = []
    for name in NAMES:
        assert call("predict", weights, data / "val" / name, f"--output={out}.csv", "--overwrite").code == 0
        missed += [-np.log(float(row[f"p({name})"])) for row in table_of(out.with_suffix(".csv"))]
    assert np.mean(missed) == pytest.approx(own, abs=3e-6)


def test_what_only_fills_up_does_not_count():
    learner = ClassificationLearner(create_model("conv_tiny", num_classes=3)).eval()
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    batch = {"image": images, "label": torch.tensor([0, 1, 2, 0]), "index": torch.tensor([5, -1, 7, -1])}
    with torch.no_grad():
        learner.validation_step(batch, 0)
        learner.validation_step({**batch, "index": torch.full((4,), -1)}, 1)
    scores = learner.counts.scores()
    assert scores.count == 2 and [one.count for one in scores.classes] == [1, 0, 1]


def test_a_run_goes_on_to_the_same_losses(call, tmp_path, monkeypatch):
    """Stopped after two steps of an epoch of three, with everything at random that there is."""
    data = write_classes(tmp_path / "data")
    every = ["--trainer.log_every_n_steps=1", *MIXED, "--data.scale=[0.3,1]", "--model.context=hamburger"]
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert call(*fit_classes(data, whole, *every)).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Timer, "time_remaining", lambda *_: 0.0)
        patch.setattr(
            Timer, "_check_time_remaining", lambda _, t: setattr(t, "should_stop", t.global_step >= 2)
        )
        assert call(*fit_classes(data, parted, *every, "--trainer.max_time=00:00:01:00")).code == 0
    assert list(losses(parted)) == [0, 1]
    assert call(*fit_classes(data, parted, *every, "--resume")).code == 0
    assert len(losses(whole)) == 6 and losses(parted) == losses(whole)
    assert contents(parted)["last.safetensors"] == contents(whole)["last.safetensors"]


def test_a_training_that_becomes_nan_is_repeated(call, complains, tmp_path):
    data, run = write_classes(tmp_path / "data"), tmp_path / "run"
    complains(
        *fit_classes(data, run, *MIXED, "--optimizer.lr=1e30", "--optimizer.warmup_steps=0"),
        quoting=["training became NaN", "replay"],
    )
    result = call("replay", run / "nan_batch.pt")
    assert result.code == 0, result.err
    assert "it begins in" in result.out and "number " in result.out


def test_pictures_are_held_out_by_the_seed_of_the_run(call, tmp_path):
    data, run = write_classes(tmp_path / "all", {".": 6}), tmp_path / "run"
    extra = ["--data.val_fraction=0.34", "--seed=3", "--trainer.max_epochs=1"]
    assert call(*fit_classes(data, run, *extra)).code == 0
    assert call("test", run, f"--json={tmp_path / 'scores.json'}").code == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    (logged,) = run.glob("logs/*/metrics.csv")
    (last,) = [row for row in table_of(logged) if row["val/loss"]]
    assert scores["count"] == 6 and scores["loss"] == pytest.approx(float(last["val/loss"]), rel=1e-4)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--model.num_classes=5"], "--model.num_classes 5, but the data has 3 classes (blue, green, red)"),
        (["--model.context=paramixer"], "expected 'hamburger' or 'attention' or 'none'"),
        (["--data.name=cifar100"], "expected 'class_folder' or 'cifar10' or 'fashion_mnist'"),
        (["--data.root=nowhere"], "there is no folder"),
        (["--mix.mixup=-1"], "mix.mixup must be 0 or more"),
        (["--data.rand_augment=sharp"], "is no policy of timm's"),
        (["--model.backbone=timm/no_such"], "timm knows no network 'no_such'"),
        (["--data.size=0"], "--data.size must be at least 1"),
        (["--task=segmentation"], "--model.name conv_tiny is of the task classification"),
    ],
)
def test_what_cannot_be_is_one_sentence(complains, tmp_path, extra, said):
    write_classes(tmp_path / "data", {"train": 3, "val": 1})
    complains(*fit_classes(tmp_path / "data", tmp_path / "run", *extra), quoting=said)
    assert not (tmp_path / "run").exists()


def test_classes_of_the_splits_agree(complains, classified, tmp_path):
    data = write_classes(tmp_path / "data", {"train": 3})
    write_classes(data, {"val": 3}, names=("blue", "green", "yellow"))
    complains(*fit_classes(data, tmp_path / "run"), quoting="are in one of them only")
    complains("test", classified.run, f"--data.root={data}", quoting=["knows 3 classes (blue, green, red)"])
    (data / "val" / "grey").mkdir()
    complains(*fit_classes(data, tmp_path / "run"), quoting=["no picture of 'grey'"])
    (data / "train" / "blue" / "train0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shutil.rmtree(data / "val")
    write_classes(data, {"val": 3})
    complains(*fit_classes(data, tmp_path / "run"), quoting=["train0.png", "cannot be decoded"])


def test_a_check_names_what_is_to_be_mended(call, complains, tmp_path):
    data = write_classes(tmp_path / "data")
    result = call("data", "check", data, "--format=class_folder")
    assert result.code == 0 and "problems: none" in result.out and "20 x 24" in result.out
    train = data / "train"
    (train / "red" / "broken.png").write_bytes((train / "red" / "train0.png").read_bytes()[:50])
    shutil.copy(train / "red" / "train1.png", data / "val" / "red" / "again.png")
    shutil.copy(train / "red" / "train1.png", train / "blue" / "other.png")
    shutil.copy(train / "red" / "train2.png", train / "loose.png")
    (train / "empty").mkdir()
    complains("data", "check", data, "--format=class_folder", quoting="6 problem(s)")
    out = call("data", "check", data, "--format=class_folder").out
    for said in (
        "broken.png cannot be decoded", "1 picture(s) of val are in train, too", "of another class",
        "1 picture(s) such as loose.png", "empty holds no picture", "val has no folder for 'empty'",
    ):  # fmt: skip
        assert said in out, said
    assert "12 of 25 pictures" not in out
    some = call("data", "check", data, "--format=class_folder", "--samples=5").out
    assert "5 of 26 pictures were read" in some


def test_a_check_of_packed_sets(call, complains, shared_data, tmp_path):
    complains("data", "check", tmp_path, "--format=cifar10", quoting=["data_batch_1.bin"])
    for wrong in (["--samples=5"], ["--splits", "test"], ["--max_pixels=9"]):
        complains("data", "check", tmp_path, "--format=cifar10", *wrong, quoting=["cifar10", wrong[0][:9]])
    out = call("data", "check", shared_data / "fashion_mnist", "--format=fashion_mnist").out
    assert "60,000" in out and "Ankle boot" in out and "problems: none" in out


@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_the_network_of_a_run_is_exported(classified, call, tmp_path, form):
    target = tmp_path / ("m.onnx" if form == "onnx" else "m.pt2")
    result = call("export", classified.run, f"--format={form}", "--output", target, "--preprocess")
    assert result.code == 0, result.err
    assert target.is_file() and "same class" in result.out


def test_classes_are_named_when_weights_are_converted(call, complains, tmp_path):
    weights = weights_of(load_case("van_b0_classifier"))
    torch.save({name: torch.as_tensor(value) for name, value in weights.items()}, tmp_path / "van.pth")
    names = [f"class {number}" for number in range(1000)]
    (tmp_path / "names.txt").write_text("\n".join(names))
    target = tmp_path / "van.safetensors"
    arguments = ["convert", tmp_path / "van.pth", "--to", target, "--classes", tmp_path / "names.txt"]
    result = call(*arguments)
    assert result.code == 0, result.err
    config = load_model(target).config
    assert config.class_names == tuple(names) and (config.image_size, config.crop_ratio) == (224, 0.9)
    (tmp_path / "names.txt").write_text("a\nb\n")
    complains(*arguments, "--overwrite", quoting="names 2 classes, the checkpoint has 1000")
    for text, said in {
        b"a\na\nb": "names 'a' twice",
        b"": "names no class",
        b"\xff\xfe": "is no text",
    }.items():
        (tmp_path / "names.txt").write_bytes(text)
        with pytest.raises(ValueError, match=said):
            read_names(tmp_path / "names.txt")


def test_grey_pictures_and_a_network_with_context(call, tmp_path):
    data, run = write_classes(tmp_path / "data"), tmp_path / "run"
    extra = ["--data.channels=1", "--model.context=hamburger", "--model.rank=4", "--model.solver=VQ"]
    assert call(*fit_classes(data, run, *extra, "--trainer.max_epochs=1")).code == 0
    config = load_model(run / "best.safetensors").config
    assert (config.in_channels, config.context, config.normalization) == (1, "hamburger", ((0.5,), (0.25,)))
    assert call("test", run / "best.safetensors", f"--data.root={data}").code == 0
    picture = next((data / "val" / "red").iterdir())
    assert call("predict", run, picture, f"--output={tmp_path / 'p.csv'}").code == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["context"] == "hamburger"


def test_a_bare_network_says_the_numbers_of_its_classes(call, tmp_path):
    save_model(create_model("conv_tiny", num_classes=2), tmp_path / "m.safetensors")
    Image.new("L", (50, 40), 9).save(tmp_path / "grey.png")
    assert (
        call(
            "predict", tmp_path / "m.safetensors", tmp_path / "grey.png", f"--output={tmp_path / 'p.csv'}"
        ).code
        == 0
    )
    assert (tmp_path / "p.csv").read_text().startswith("path,prediction,p(0),p(1)\n")
    assert "p.csv" in contents(tmp_path)
