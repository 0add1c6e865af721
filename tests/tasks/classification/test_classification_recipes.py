"""Every recipe of classifiers takes a step, says what it claims, and holds what differs from the defaults."""

from pathlib import Path

import pytest
import torch
import yaml

from classification_data import write_classes
from nightly import some_by_day
from subquad.models import model_config
from subquad.tasks.classification.data.options import IN_MEMORY
from subquad.tasks.classification.task import TASK
from subquad.tasks.fitting import fit_parser

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / "recipes" / "classification").glob("*.yaml"))
PUBLISHED = {"van_tiny": "75.4", "van_small": "81.1", "van_base": "82.8", "van_large": "83.9"}
EPOCH = 1281167 // 1024  # steps, of ImageNet's training pictures

each = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


def parsed(recipe):
    p = fit_parser(TASK)
    return p.instantiate(p.parse_args([f"--config={recipe}"]))


def flat(values, before=""):
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


@pytest.mark.parametrize(
    "recipe",
    some_by_day(RECIPES, lambda recipe: recipe.stem not in [*PUBLISHED][1:]),
    ids=lambda path: path.stem,
)
def test_a_recipe_takes_one_step(call, recipe, tmp_path):
    """On the smallest network of the family, at a size that a step takes a moment of."""
    data = write_classes(tmp_path / "data", {"train": 2, "val": 1})
    extra = ["--data.name=class_folder", f"--data.root={data}", "--data.batch_size=4", "--data.workers=0"]
    if recipe.stem in PUBLISHED:
        extra += ["--data.size=32", "--model.backbone=van_tiny"]
    result = call(
        "fit", "--config", recipe, *extra, "--trainer.max_steps=1", "--trainer.accelerator=cpu",
        "--trainer.devices=1", "--trainer.strategy=auto", f"--output={tmp_path / 'run'}",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "run" / "best.safetensors").is_file()


@each
def test_a_recipe_holds_what_differs_from_the_defaults(recipe):
    p = fit_parser(TASK)
    plain, options = p.get_defaults(), p.parse_args([f"--config={recipe}"])
    same = [name for name in flat(yaml.safe_load(recipe.read_text())) if options[name] == plain[name]]
    assert set(same) <= {"model.name"}


@each
def test_a_recipe_says_its_claim_and_its_command(recipe):
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert head[0].startswith("# Claim:")
    assert any(f"subquad fit --config recipes/classification/{recipe.name}" in line for line in head)
    assert ("# Ours: not trained yet." in " ".join(head)) == (recipe.stem in PUBLISHED)
    assert parsed(recipe).output == f"runs/classification/{recipe.stem}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_training_of_van(name):
    """As the authors' script has it; see the head of the recipe for what is otherwise."""
    recipe = ROOT / "recipes" / "classification" / f"{name}.yaml"
    assert f"{PUBLISHED[name]} % top-1" in recipe.read_text().partition("\n")[0]
    options = parsed(recipe)
    assert options.model.name == name and options.data.batch_size * options.trainer.devices == 1024
    assert (options.trainer.max_epochs, options.seed) == (300, 42)
    optimizer = options.optimizer
    assert (optimizer.kind, optimizer.lr, optimizer.weight_decay, optimizer.exempt) == (
        "adamw", 1e-3, 0.05, "norms_and_biases",
    )  # fmt: skip
    assert (optimizer.decay, optimizer.min_lr, optimizer.update_every) == ("cosine", 1e-6, EPOCH)
    assert optimizer.warmup_steps == 5 * EPOCH and optimizer.warmup_ratio * optimizer.lr == pytest.approx(
        1e-6
    )
    data, mix = options.data, options.mix
    assert (data.size, data.crop_ratio, data.scale, data.flip) == (224, 0.9, (0.08, 1.0), 0.5)
    assert (data.rand_augment, data.interpolation) == ("rand-m9-mstd0.5-inc1", "random")
    assert (mix.mixup, mix.cutmix, mix.label_smoothing, mix.erasing) == (0.8, 1.0, 0.1, 0.25)
    assert model_config(name).drop_path == (0.2 if name == "van_large" else 0.1)


@pytest.mark.parametrize("name", [path.stem for path in RECIPES if path.stem not in PUBLISHED])
def test_the_sets_at_hand_are_those_of_the_recipes(name):
    options = parsed(ROOT / "recipes" / "classification" / f"{name}.yaml")
    assert options.data.name in IN_MEMORY and options.model.name == "conv_tiny"
    with torch.device("meta"):
        assert model_config(options.model.name).build() is not None
