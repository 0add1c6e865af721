"""Which kind of network a command is about: each kind has its own options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.plain_yaml import read_yaml
from subquad.models import SequenceConfig, model_config, read_config
from subquad.models.hamgan import HamGANConfig

Kind = Literal["segmentation", "sequences", "generation"]


def kind_of_config(config: Any) -> Kind:
    """Return the kind of a network's configuration."""
    if isinstance(config, HamGANConfig):
        return "generation"
    return "sequences" if isinstance(config, SequenceConfig) else "segmentation"


def kind_of_arguments(arguments: Sequence[str]) -> Kind:
    """Return the kind that `--model.name` or the recipe among the arguments asks for; the last counts.

    Raises:
        ValueError: If there is no network of that name.
    """
    name = ""
    for index, argument in enumerate(arguments):
        option, given, value = argument.partition("=")
        if not given and index + 1 < len(arguments):
            value = arguments[index + 1]
        if option == "--model.name":
            name = value
        elif option == "--config":
            name = _name_in_recipe(Path(value)) or name
    return kind_of_config(model_config(name)) if name else "segmentation"


def kind_of_checkpoint(arguments: Sequence[str]) -> Kind:
    """Return the kind of the checkpoint among the arguments; without one, the parser will complain.

    Raises:
        FileNotFoundError: If the first argument should be a checkpoint and is not there.
    """
    if arguments and not arguments[0].startswith("-"):
        checkpoint_path(arguments[0])
    for argument in arguments:
        if not argument.startswith("-") and Path(argument).exists():
            try:
                return kind_of_config(read_config(checkpoint_path(argument)))
            except (OSError, ValueError):
                continue
    return "segmentation"


def _name_in_recipe(path: Path) -> str:
    """Return the model's name in a recipe; what is wrong with the file is for the parser to say."""
    try:
        name = read_yaml(path)["model"]["name"]
        return name if isinstance(name, str) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
