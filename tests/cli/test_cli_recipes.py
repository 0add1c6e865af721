"""Every recipe parses and takes a step, on data that is here."""

from pathlib import Path

import pytest
import yaml
from cli_helpers import contents, write_data

from subquad.cli.fit import parser

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def each_recipe(function):
    return pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)(function)


def test_there_are_recipes():
    assert len(RECIPES) >= 2


@each_recipe
def test_a_recipe_takes_one_step(call, recipe, tmp_path):
    data = write_data(tmp_path / "data")
    result = call(
        "fit", "--config", recipe, "--data.name=folder", f"--data.root={data}", "--data.batch_size=2",
        "--trainer.max_steps=1", "--trainer.accelerator=cpu", f"--output={tmp_path / 'run'}",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert "best.safetensors" in contents(tmp_path / "run")


@each_recipe
def test_a_recipe_holds_what_differs_from_the_defaults(recipe):
    p = parser()
    plain, options = p.get_defaults(), p.parse_args([f"--config={recipe}"])
    given = flat(yaml.safe_load(recipe.read_text()))
    kept = [name for name in given if options[name] == plain[name]]
    assert not [name for name in kept if name != "model.name"], (
        "a model may be named even if it is the default"
    )


@each_recipe
def test_a_recipe_says_its_claim_and_its_command(recipe):
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert any(line.startswith("# Claim:") for line in head)
    assert any(f"subquad fit --config recipes/{recipe.name}" in line for line in head)


def flat(values, before=""):
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found
