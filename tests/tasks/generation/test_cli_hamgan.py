"""`subquad fit`, `test` and `features` of HamGANs, and their recipes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from hamgan_data import TINY, write_cifar10, write_class_folder, write_fashion_mnist
from subquad.engine.run_folder import releasing
from subquad.models import load_model
from subquad.tasks.asking import run_test
from subquad.tasks.fitting import fit_parser
from subquad.tasks.generation.commands import features
from subquad.tasks.generation.learner import GenerationLearner
from subquad.tasks.generation.task import TASK
from subquad.tasks.running import run_fit

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / "recipes" / "hamgan").glob("*.yaml"))
SMALL = [
    "--trainer.max_steps=2", "--trainer.val_check_interval=2", "--trainer.limit_val_batches=1",
    "--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.strategy=auto", "--data.workers=0",
    "--data.batch_size=2", "--data.eval_batch_size=4", "--model.width=2", "--grids.every=2",
    "--grids.columns=2", "--model.generator_rank=4", "--model.discriminator_rank=4",
]  # fmt: skip


def train(arguments):
    with releasing():
        run_fit(TASK, arguments)


def each_recipe():
    return pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on tiny class folders with proxy features; tests must leave it as it is."""
    root = tmp_path_factory.mktemp("hamgan")
    write_class_folder(root / "data")
    data = [f"--data.root={root / 'data'}", "--data.eval_batch_size=8"]
    features.main(
        [*data, "--data.batch_size=6", "--epochs=1", "--width=4", f"--output={root / 'f.safetensors'}"]
    )
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match="is of 18 images, fewer"):
        patch.chdir(root)
        train(
            [
                *TINY, *data, "--trainer.max_steps=3", "--trainer.val_check_interval=3", "--grids.every=2",
                "--grids.columns=2", f"--output={root / 'run'}", "--features=f.safetensors",
            ]
        )  # fmt: skip
    return root


def test_a_run_leaves_weights_images_and_its_options(trained):
    run = trained / "run"
    names = {path.name for path in run.iterdir()}
    assert {"best.safetensors", "last.safetensors", "last.ckpt", "config.yaml", "samples", "logs"} <= names
    assert [path.name for path in sorted((run / "samples").iterdir())] == [
        "step_0000002.png", "step_0000003.png",
    ]  # fmt: skip
    config = load_model(run / "best.safetensors").config
    assert (config.num_classes, config.class_names) == (3, ("bird", "cat", "dog"))
    assert "val/proxy-FID" in (run / "logs" / "version_0" / "metrics.csv").read_text()
    with pytest.raises(ValueError, match="holds a run already"):
        train([*TINY, f"--data.root={trained / 'data'}", f"--output={run}"])


def test_scores_are_written_with_their_protocol(trained, tmp_path, capsys):
    out = tmp_path / "scores.json"
    run_test([str(trained / "run"), "--samples=18", "--allow_small=true", "--seed=5", f"--json={out}"])
    printed = capsys.readouterr().out
    assert "proxy-FID of other real images" in printed and "classes recognised" in printed
    assert " FID" not in printed.replace("proxy-FID", "")
    scores = json.loads(out.read_text())
    assert scores["distance_name"] == "proxy-FID" and scores["preset"] == "small"
    assert scores["protocol"] == {
        "samples": 18, "splits": 1, "truncation": None, "seed": 5, "allow_small": True,
    }  # fmt: skip
    assert scores["generated"] == scores["real"] == 18 and scores["real_distance"] > 0
    assert scores["real_images"].endswith("val")
    digest = hashlib.sha256((trained / "f.safetensors").read_bytes()).hexdigest()
    assert scores["features"].endswith(f"sha256 {digest[:12]}")


def test_features_are_not_lost(trained):
    before = (trained / "f.safetensors").read_bytes()
    again = [f"--data.root={trained / 'data'}", f"--output={trained / 'f.safetensors'}"]
    with pytest.raises(ValueError, match="f.safetensors is there already; give --overwrite"):
        features.main([*again, "--epochs=1", "--width=2", "--data.batch_size=6"])
    assert (trained / "f.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "10000 generated images|are too few"),
        (["--samples=50"], "50 generated images are too few"),
        (["--seed=-1"], "--seed must be 0 or more, got -1"),
        (["--batch_size=0"], "--batch_size must be at least 1, got 0"),
        (["--features=null", "--samples=18", "--allow_small=true"], "one of them"),
        (["--inception=x.pth", "--samples=18", "--allow_small=true"], r"no Inception file .*x.pth"),
    ],
)
def test_wrong_evaluations_are_said(trained, arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run_test([str(trained / "run"), *arguments])


def test_other_classes_are_said(trained, tmp_path):
    write_class_folder(tmp_path, classes=["cow", "pig"])
    with pytest.raises(ValueError, match=r"knows 3 classes \(bird, cat, dog\), the data has 2 \(cow, pig"):
        run_test([str(trained / "run"), f"--data.root={tmp_path}"])
    wrong = [*TINY, f"--data.root={tmp_path}", f"--output={tmp_path / 'run'}"]
    with pytest.raises(ValueError, match=r"--model.num_classes 5, but the data has 2 classes \(cow, pig"):
        train([*wrong, "--model.num_classes=5"])
    with pytest.raises(ValueError, match="light_ham_van_tiny does not generate images"):
        train([*wrong, "--model.name=light_ham_van_tiny"])
    (tmp_path / "train" / "hen").mkdir()
    with pytest.raises(ValueError, match="no picture of 'hen' in"):
        train(wrong)
    write_fashion_mnist(tmp_path / "fashion")
    with pytest.raises(ValueError, match="fashion_mnist has grey pictures of 32 x 32"):
        train(
            ["--data.name=fashion_mnist", f"--data.root={tmp_path / 'fashion'}", "--model.size=64",
             f"--output={tmp_path / 'run'}"]
        )  # fmt: skip
    for option in ("gradient_clip_val=1.0", "accumulate_grad_batches=2"):
        with pytest.raises(ValueError, match="is for networks with one optimiser, a GAN has two"):
            train([*wrong, f"--trainer.{option}"])
    for option, message in (
        ("precision=bf16-true", "--trainer.precision bf16-true does not keep the weights in float32"),
        ("precision=64-true", "give 32-true, bf16-mixed or 16-mixed"),
        (
            "strategy=fsdp",
            "--trainer.strategy fsdp cannot train two networks that take turns; give one of auto",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            train([*wrong, f"--trainer.{option}"])
    assert not (tmp_path / "run").exists()


def test_features_of_other_data_are_said_before_any_work(trained, tmp_path):
    write_class_folder(tmp_path / "data", classes=["cow", "pig"])
    features_file = f"--features={trained / 'f.safetensors'}"
    arguments = [*TINY, f"--data.root={tmp_path / 'data'}", f"--output={tmp_path / 'run'}"]
    with pytest.raises(ValueError, match=r"features are of 3 classes \(bird, cat, dog\), the network has 2"):
        train([*arguments, features_file])
    write_class_folder(tmp_path / "one", classes=["cow"], count=1)
    one = [*arguments, f"--data.root={tmp_path / 'one'}", "--data.batch_size=1", "--trainer.max_steps=1"]
    features.main([f"--data.root={tmp_path / 'one'}", "--data.batch_size=1", "--epochs=1", "--width=2",
                   f"--output={tmp_path / 'one.safetensors'}"])  # fmt: skip
    with pytest.raises(ValueError, match="holds 1 picture, but a proxy-FID needs two at least"):
        train([*one, f"--features={tmp_path / 'one.safetensors'}"])
    assert not (tmp_path / "run").exists()


def test_several_devices_look_for_weights_without_a_gradient():
    def strategy(*arguments):
        trainer = fit_parser(TASK).parse_args(["--trainer.accelerator=cpu", *arguments]).trainer
        return GenerationLearner.strategy(object.__new__(GenerationLearner), trainer)

    assert strategy() == strategy("--trainer.devices=1") == "auto"
    for arguments in (["--trainer.devices=2"], ["--trainer.num_nodes=2"], ["--trainer.strategy=ddp"]):
        assert strategy(*arguments) == "ddp_find_unused_parameters_true"


@each_recipe()
def test_a_recipe_takes_two_steps(recipe, tmp_path):
    name = yaml.safe_load(recipe.read_text())["data"].get("name", "class_folder")
    write = {
        "class_folder": write_class_folder,
        "cifar10": write_cifar10,
        "fashion_mnist": write_fashion_mnist,
    }
    write[name](tmp_path / "data")
    train([f"--config={recipe}", *SMALL, f"--data.root={tmp_path / 'data'}", f"--output={tmp_path / 'run'}"])
    side = load_model(tmp_path / "run" / "best.safetensors").config.size
    assert side == (128 if name == "class_folder" else 32)
    assert (tmp_path / "run" / "samples" / "step_0000002.png").is_file()


@each_recipe()
def test_a_recipe_says_its_claim_its_command_and_what_differs(recipe):
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert head[0].startswith("# Claim:")
    assert any(f"subquad fit --config recipes/hamgan/{recipe.name}" in line for line in head)
    p = fit_parser(TASK)
    plain, options = p.get_defaults(), p.parse_args([f"--config={recipe}"])
    given = flat(yaml.safe_load(recipe.read_text()))
    assert not [name for name in given if options[name] == plain[name] and name != "model.name"]
    assert options.output == f"runs/hamgan/{recipe.stem}"


def test_the_published_recipes_have_the_published_batches():
    for name, batch, steps in (("baby", 256, 2_000_000), ("strong", 1024, 1_000_000)):
        options = fit_parser(TASK).parse_args([f"--config={ROOT}/recipes/hamgan/hamgan_{name}.yaml"])
        assert options.data.batch_size * options.trainer.devices == batch
        assert options.trainer.max_steps == steps and options.ema is None
        assert (options.optimizer.generator_lr, options.optimizer.discriminator_lr) == (1e-4, 4e-4)
        assert options.optimizer.norm_momentum == 0.001 and options.trainer.sync_batchnorm


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "auto"])
def test_two_processes_train_one_network(tmp_path, strategy):
    write_class_folder(tmp_path / "data")
    command = [
        sys.executable, "-m", "subquad", "fit", *TINY, f"--data.root={tmp_path / 'data'}",
        "--trainer.devices=2", f"--trainer.strategy={strategy}", "--trainer.max_steps=4",
        "--trainer.max_epochs=4", "--ema=0.9", "--grids.every=2", "--grids.columns=2",
        f"--output={tmp_path / 'run'}",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    saved = load_model(tmp_path / "run" / "last.safetensors")
    assert all(bool(p.isfinite().all()) for p in saved.parameters())
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == 4


def flat(values, before=""):
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def test_a_longer_training_is_what_it_would_have_been_and_other_rates_are_refused(tmp_path):
    """Its learning rates do not depend on the number of steps, which ended in the middle of an epoch."""
    write_class_folder(tmp_path / "data")

    def fit(name, steps, *extra):
        every = [
            "--trainer.val_check_interval=2",
            "--grids.every=9",
            "--ema=0.9",
            f"--trainer.max_steps={steps}",
        ]
        run = [f"--data.root={tmp_path / 'data'}", f"--output={tmp_path / name}"]
        train([*TINY, *run, *every, *extra])

    fit("whole", 5)
    fit("longer", 3)
    with pytest.raises(
        ValueError, match=r"--optimizer.generator_lr is 0.5, but the run was made with 0.0001"
    ):
        fit("longer", 5, "--resume", "--optimizer.generator_lr=0.5")
    fit("longer", 5, "--resume")
    for name in ("best.safetensors", "last.safetensors"):
        whole, longer = (tmp_path / run / name for run in ("whole", "longer"))
        assert whole.read_bytes() == longer.read_bytes()
