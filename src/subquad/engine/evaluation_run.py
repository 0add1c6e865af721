"""What `subquad test` of every kind of network has in common."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import read_yaml

# Options of `fit` that tell how a run's network is evaluated.
ASKED_FOR = ("data", "model", "protocol", "seed", "features", "inception")


def add_test_options(p: Parser) -> None:
    """Add the checkpoint and where the scores go."""
    p.add_argument(
        "checkpoint",
        type=str,
        help="A .safetensors file, or a folder that `fit` wrote; the folder also tells which data.",
    )
    p.add_argument(
        "--json",
        type=str | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="Write the scores to this file.",
    )


def config_of_run(arguments: list[str], kind: str, *, or_file: bool = False) -> dict[str, Any]:
    """Return what config.yaml tells of the run whose folder is among the arguments; {} if none is.

    Only what an evaluation asks for is read, as the options of `subquad fit` that it was.

    Args:
        arguments: Of the command.
        kind: Of the network.
        or_file: Whether a run may be given by the file of its weights, too.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no YAML of plain values, has no section `data`, or holds what is no option.
    """
    for argument in arguments:
        path = Path(argument)
        config = (path.parent if or_file and path.suffix == ".safetensors" else path) / "config.yaml"
        if not argument.startswith("-") and config.is_file():
            content = read_yaml(config)
            if not isinstance(content.get("data"), dict):
                raise ValueError(f"{config} has no section `data`; it is not of `subquad fit`.")
            p: Parser = import_module(f"subquad.tasks.{kind}.commands.fit").parser()
            p.recipes = [str(config)]
            return p.parse_content({name: content[name] for name in ASKED_FOR if name in content})
    return {}


def data_defaults(content: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a run as defaults of `--data.*`."""
    return {f"data.{name}": value for name, value in content.get("data", {}).items()}
