"""Bad input to `fit` and `test`: exit code 2, one sentence that quotes it, and nothing is lost."""

import itertools
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from cli_helpers import contents, fit_arguments


@pytest.fixture
def refuses(complains, data, tmp_path):
    """Run `fit` with extra options; it must complain and leave neither weights nor a checkpoint."""

    runs = itertools.count()

    def run(*extra, quoting, root=data):
        output = tmp_path / f"run{next(runs)}"
        sentence = complains(*fit_arguments(root, output, *extra), quoting=quoting)
        assert not contents(output).keys() & {"best.safetensors", "last.ckpt"}
        return sentence

    return run


@pytest.mark.parametrize(
    ("option", "quoting"),
    [
        ("--modle.name=x", ["--modle.name", "Did you mean '--model.name'?"]),
        ("--model.bakbone=x", ["--model.bakbone", "Did you mean '--model.backbone'?"]),
        ("--trainer.max_stepz=3", ["--trainer.max_stepz", "Did you mean '--trainer.max_steps'?"]),
        ("surplus", "surplus"),
        ("--model.name=light_ham_van_tny", ["'light_ham_van_tny'", "Did you mean 'light_ham_van_tiny'?"]),
        ("--model.backbone=van_tinny", ["'van_tinny'", "Did you mean 'van_tiny'?"]),
        ("--model.context=hamm", "hamm"),
        ("--model.solver=NFM", ["'NFM'", "Did you mean 'NMF'?"]),
        ("--model.rank=0", "0"),
        ("--model.ham_channels=33", "33"),
        ("--model.num_classes=5", ["5", "3 classes"]),
        ("--model.weights=nowhere.pth", "nowhere.pth"),
        ("--data.name=scense", ["'scense'", "Did you mean 'scenes'?"]),
        ("--data.train=trian", ["'trian'", "train, val"]),
        ("--data.num_classes=5", ["5", "3 classes"]),
        ("--data.batch_size=7", ["7", "6"]),
        ("--data.batch_size=0", "0"),
        ("--data.crop=[0,3]", "(0, 3)"),
        ("--data.crop=40", "40"),
        ("--class_weights=foo", ["foo", "median"]),
        ("--optimizer.lr=abc", ["optimizer.lr", "abc"]),
        ("--optimizer.lr=-1", "-1"),
        ("--optimizer.lr=nan", "nan"),
        ("--optimizer.weight_decay=-3", "-3"),
        ("--optimizer.warmup_steps=-3", "-3"),
        ("--optimizer.betas=[2,3]", "2"),
        ("--ema=2", "2"),
        ("--save_every=0", "0"),
        ("--save_every=-5", "-5"),
        ("--seed=-1", "-1"),
        ("--trainer.accelerator=foo", "foo"),
        ("--trainer.precision=foo", ["precision", "foo"]),
        ("--config=nowhere.yaml", "nowhere.yaml"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options(refuses, option, quoting):
    refuses(option, quoting=quoting)


@pytest.mark.parametrize(
    ("text", "quoting"),
    [
        ("model: {name: [\n", "recipe.yaml"),
        ("- 1\n- 2\n", "recipe.yaml"),
        ("model: {nmae: x}\n", ["nmae", "recipe.yaml"]),
        ("optimizer: {lr: abc}\n", ["optimizer.lr", "abc"]),
    ],
    ids=["malformed", "a list", "unknown key", "wrong type"],
)
def test_recipes(refuses, tmp_path, text, quoting):
    (tmp_path / "recipe.yaml").write_text(text)
    refuses(f"--config={tmp_path / 'recipe.yaml'}", quoting=quoting)


def test_wrong_and_empty_folders(refuses, tmp_path):
    assert "--data.root" in refuses(root=tmp_path / "nowhere", quoting=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    assert "is empty" in refuses(root=tmp_path / "empty", quoting=str(tmp_path / "empty" / "images"))
    (tmp_path / "empty" / "notes.txt").write_text("nothing yet")
    assert "--data.images" in refuses(root=tmp_path / "empty", quoting=str(tmp_path / "empty"))
    refuses("--data.num_classes=3", root=tmp_path / "empty", quoting=str(tmp_path / "empty"))
    (tmp_path / "empty" / "train" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "train" / "labels").mkdir()
    refuses("--data.num_classes=3", root=tmp_path / "empty", quoting=str(tmp_path / "empty" / "train"))


def test_no_folder_at_all(complains, tmp_path):
    complains("fit", f"--output={tmp_path / 'run'}", quoting="--data.root")


@pytest.mark.parametrize("workers", [0, 1])
def test_masks_and_pictures_that_cannot_be_used(refuses, data, workers):
    option = f"--data.workers={workers}"
    mask, picture = (data / "train" / kind / "train3.png" for kind in ("labels", "images"))
    good = mask.read_bytes()
    Image.fromarray(np.zeros((40, 47), np.uint8)).save(mask)
    refuses(option, quoting=[str(mask), "40 x 47", "40 x 48"])
    Image.fromarray(np.full((40, 48), 37, np.uint8)).save(mask)
    refuses(option, quoting=[str(mask), "37", "0..2"])
    mask.write_bytes(good)
    truncated = picture.with_suffix(".jpg")
    with Image.open(picture) as image:
        image.save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:900])
    picture.unlink()
    refuses(option, quoting=str(truncated))
    truncated.unlink()
    refuses(option, quoting="'train3'")


def test_files_that_are_no_weights(complains, refuses, trained, tmp_path):
    text, pickled = tmp_path / "notes.safetensors", tmp_path / "notes.pth"
    for path in (text, pickled):
        path.write_text("these are notes")
        refuses(f"--model.weights={path}", quoting=str(path))
    for path in (text, trained.run / "last.ckpt", tmp_path / "nowhere.safetensors", tmp_path / "nowhere"):
        complains("test", path, f"--data.root={trained.data}", quoting=str(path))


def test_a_checkpoint_needs_its_data(complains, trained):
    complains("test", trained.weights, quoting="--data.root")
    complains("test", quoting="checkpoint")


def test_the_output_is_a_file(complains, data, tmp_path):
    (tmp_path / "taken").write_text("mine")
    complains(*fit_arguments(data, tmp_path / "taken"), quoting=str(tmp_path / "taken"))
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("option", ["--model.channels=64", "--model.context=none", "--model.rank=5"])
def test_resuming_another_network(complains, trained, tmp_path, option):
    """The message points to config.yaml: it must still be the one of the run."""
    run = shutil.copytree(trained.run, tmp_path / "run")
    complains(*fit_arguments(trained.data, run, "--resume", option), quoting=str(run / "last.ckpt"))
    assert contents(run) == contents(trained.run)


@pytest.mark.parametrize("option", ["--model.solver=CD", "--model.steps=2"])
def test_resuming_a_network_of_the_same_shapes(complains, trained, tmp_path, option):
    """Another solver has the same tensors, but it is another network."""
    run = shutil.copytree(trained.run, tmp_path / "run")
    complains(*fit_arguments(trained.data, run, "--resume", option), quoting=str(run))
    assert contents(run) == contents(trained.run)


def write_other_pickle(path):
    torch.save({"weights": torch.zeros(2)}, path)


def truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    "spoil",
    [write_other_pickle, truncate, lambda path: path.write_text("notes")],
    ids=["other", "truncated", "text"],
)
def test_resuming_from_what_is_no_checkpoint(complains, trained, tmp_path, spoil):
    run = shutil.copytree(trained.run, tmp_path / "run")
    spoil(run / "last.ckpt")
    (run / "last.previous.ckpt").unlink()  # from which the run would go on
    before = contents(run)
    complains(*fit_arguments(trained.data, run, "--resume"), quoting=str(run / "last.ckpt"))
    assert contents(run) == before


def test_sets_that_teach_nothing(refuses, data):
    masks = sorted((data / "train" / "labels").iterdir())
    for mask in masks:
        Image.fromarray(np.full((40, 48), 255, np.uint8)).save(mask)
    refuses(quoting=["train: no pixel is labelled", "255"])
    for mask in masks:
        pixels = np.zeros((40, 48), np.uint8)
        pixels[:9] = 255
        Image.fromarray(pixels).save(mask)
    refuses(quoting=["only class 0 'road' is labelled", "255 is ignored"])
    (data / "classes.json").write_text('{"classes": ["road"]}')
    refuses(quoting='{"classes": ["background", "road"]}')


def test_folders_and_limits_of_known_sets(refuses, data):
    refuses("--data.masks=labels", "--data.name=camvid", quoting=["camvid", "--data.masks"])
    refuses("--data.images=photos", quoting=["photos", "--data.images"])
    refuses("--data.max_pixels=9", quoting=["1,920 pixels", "--data.max_pixels 1920"])


def test_one_picture_of_one_pixel_has_no_statistics(refuses):
    small = ["--model.backbone=van_tiny", "--data.batch_size=1", "--data.crop=[32,32]"]
    refuses(*small, quoting=["--data.batch_size (it is 1)", "--data.crop"])


def test_a_training_without_end_is_refused(refuses):
    refuses("--trainer.max_epochs=-1", "--trainer.max_steps=-1", quoting="training has no end")
