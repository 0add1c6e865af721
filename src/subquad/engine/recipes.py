"""Hints on recipes: a base that was left out, and weights that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import subquad

BASE = "base.yaml"


def recipe(name: str) -> Path:
    """Return a recipe of the installed package or, in a source tree, of its folder."""
    package = Path(subquad.__file__).resolve().parent
    places = (package / "recipes", package.parents[1] / "recipes")
    for place in places:
        if (place / f"{name}.yaml").is_file():
            return place / f"{name}.yaml"
    raise FileNotFoundError(f"the recipe {name}.yaml is in neither {places[0]} nor {places[1]}.")


def given_recipes(arguments: Sequence[str]) -> list[str]:
    """Return the files that `--config` names among the arguments of a command."""
    found = []
    for index, argument in enumerate(arguments):
        option, joined, value = argument.partition("=")
        if option == "--config":
            found += [value] if joined else arguments[index + 1 : index + 2]
    return found


def forgotten_base(arguments: Sequence[str]) -> str:
    """Return a hint, to follow a complaint, if a recipe was given without the base beside it."""
    recipes = [Path(recipe) for recipe in given_recipes(arguments)]
    folders = {recipe.parent.resolve() for recipe in recipes if recipe.name == BASE}
    for recipe in recipes:
        base = recipe.parent / BASE
        if recipe.is_file() and base.is_file() and base.parent.resolve() not in folders:
            return f" Did you mean --config {base} --config {recipe}?"
    return ""


def check_start(weights: str) -> None:
    """Raise FileNotFoundError if the weights that a training is to start from are not there.

    Args:
        weights: Of `--model.weights`.
    """
    if not Path(weights).exists():
        source = _source(Path(weights).name)
        raise FileNotFoundError(
            f"there is no checkpoint {weights} to start from (--model.weights): {source} Or train from "
            f"scratch with --model.weights null."
        )


def _source(name: str) -> str:
    """Say where a published file of backbone weights is had, as a sentence."""
    sizes = {size: size.capitalize() for size in ("tiny", "small", "base", "large")}
    van = next((title for size, title in sizes.items() if name.startswith(f"van_{size}_")), None)
    if van:
        return f"it is had from Hugging Face, Visual-Attention-Network/VAN-{van}-original."
    if name.startswith("mscan_"):
        return "it is had from the links in the README of SegNeXt."
    if name.startswith("van_huge"):
        return "its authors' configuration names it, but no place where it is had is known."
    if name.startswith("resnet") and "_v1c" in name:
        return f"it is OpenMMLab's, open-mmlab://{name.partition('.')[0]}."
    if name.startswith("resnet"):
        return "it is had from PyTorch-Encoding, whose ResNets have the deep stem."
    return "give the path of a file that is there."
