"""What `subquad test` of every kind of network has in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from subquad.cli.parsing import Parser
from subquad.cli.plain_yaml import read_yaml


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


def config_of_run(arguments: list[str], *, or_file: bool = False) -> dict[str, Any]:
    """Return what is in config.yaml of the run whose folder is among the arguments; {} if none is.

    Args:
        arguments: Of the command.
        or_file: Whether a run may be given by the file of its weights, too.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no YAML of plain values, or has no section `data`.
    """
    for argument in arguments:
        path = Path(argument)
        config = (path.parent if or_file and path.suffix == ".safetensors" else path) / "config.yaml"
        if not argument.startswith("-") and config.is_file():
            content = read_yaml(config)
            if not isinstance(content.get("data"), dict):
                raise ValueError(f"{config} has no section `data`; it is not of `subquad fit`.")
            for section in ("model", "protocol"):
                if not isinstance(content.get(section, {}), dict):
                    raise ValueError(
                        f"{config} holds {section}: {content[section]!r}; it is a group of options."
                    )
            return content
    return {}


def data_defaults(content: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a run as defaults of `--data.*`."""
    return {f"data.{name}": value for name, value in content.get("data", {}).items()}
