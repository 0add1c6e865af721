"""Configurations as the text in a checkpoint: one writer, one reader that trusts nothing.

{"format": number, "family": name, "config": {option: value}}, the format being

1, 2  those of drafts of 0.1.0, which are still read
3     since 0.1.0: what stands in the place of the mixing is `context` in every family (2 has that, too), and
      networks of text say what their keys are

An option that a file does not have takes its default. So a new option whose default is not what
versions before it did, a renamed option and a removed one need a new format, and an entry in
`UPGRADES` that turns the content of the format before into it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from subquad.base.limits import LARGEST_HEADER
from subquad.models.config import NetworkConfig
from subquad.models.fields import kinds_of, shown
from subquad.models.language.config import BEFORE_PHASES
from subquad.models.registry import family_called
from subquad.models.solvers import UnknownSolver, solver_from_json, solver_to_json
from subquad.ops import Solver

FORMAT = 3


def _one_name_for_context(content: dict[str, Any]) -> dict[str, Any]:
    """`ham` of Light-Ham and `mixer` of sequences became `context`, "decomposition" "hamburger"."""
    former = {"light_ham": "ham", "sequence": "mixer"}.get(content["family"])
    config = dict(content["config"])
    if former in config:
        value = config.pop(former)
        config["context"] = "hamburger" if value == "decomposition" else value
    return {**content, "config": config}


def _keys_of_text(content: dict[str, Any]) -> dict[str, Any]:
    """Keys of networks of text were directions before they could be phases."""
    if content["family"] != "ham_lm":
        return content
    return {**content, "config": BEFORE_PHASES | content["config"]}


# From a format to the next one, by the format that they start from.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _one_name_for_context,
    2: _keys_of_text,
}


def config_to_json(config: NetworkConfig) -> str:
    """Return a configuration as text, with its family.

    Raises:
        ValueError: If the solver is not one of ours.
    """
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    for name, kind in kinds_of(type(config)).items():
        if kind is Solver:
            values[name] = solver_to_json(values[name])
    return json.dumps({"format": FORMAT, "family": config.family, "config": values})


def config_from_json(text: str, path: str | Path) -> NetworkConfig:
    """Inverse of `config_to_json`, of every version up to this one.

    Args:
        text: From a file; it may hold anything.
        path: Of that file, which every complaint names.

    Raises:
        ValueError: If it is damaged, of a newer version, or of a family that is not known here.
    """
    content = _parsed(text, path)
    made = content["format"]
    if made > FORMAT:
        raise ValueError(
            f"{path} holds a network of family {shown(content['family'])}, format {shown(made)}, which this "
            f"version of subquad does not know; update subquad."
        )
    for number in range(made, FORMAT):
        content = UPGRADES[number](content)
    family = family_called(content["family"])
    if family is None:
        raise ValueError(
            f"{path} holds a network of family {shown(content['family'])}, which this version of subquad "
            f"does not know; update subquad, or install and import the package that registers it."
        )
    return _filled(family, content["config"], path)


def _parsed(text: str, path: str | Path) -> dict[str, Any]:
    """Return the content, of which only the inside of "config" is still unknown."""
    if not isinstance(text, str) or len(text) > LARGEST_HEADER:
        raise _damaged(path, f"it is no text of {LARGEST_HEADER:,} characters at most")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is no JSON ({type(error).__name__})") from error
    for name, kind in {"format": int, "family": str, "config": dict}.items():
        value = content.get(name) if isinstance(content, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _damaged(path, f'it has no "{name}" that could be read ({shown(content)})')
    if content["format"] < 1:
        raise _damaged(path, f"there is no format {shown(content['format'])}")
    return content


def _filled(family: type[NetworkConfig], values: dict[str, Any], path: str | Path) -> NetworkConfig:
    kinds = kinds_of(family)
    unknown = [name for name in values if name not in kinds]
    if unknown:
        raise ValueError(
            f"{path} holds a {family.__name__} with the option{'s' if unknown[1:] else ''} "
            f"{', '.join(shown(name) for name in unknown[:5])}, which this version of subquad does not know; "
            f"update subquad."
        )
    required = [
        field.name
        for field in dataclasses.fields(family)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in values]
    if missing:
        raise _damaged(path, f"it has no {', '.join(missing)}")
    try:
        solvers = {name: solver_from_json(values[name]) for name in values if kinds[name] is Solver}
        return family(**{**values, **solvers})
    except UnknownSolver as error:
        raise ValueError(
            f"{path} needs the solver {shown(error.name)}, which is not known here: import the module that "
            f"registers it, or install the package that announces it. {error.instead}"
        ) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise _damaged(path, str(error).rstrip(".")) from error


def _damaged(path: str | Path, why: str) -> ValueError:
    return ValueError(f"the configuration in {path} is damaged: {why}; take another copy of the file.")
