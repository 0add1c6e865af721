"""The options of networks on the command line, as typed values; recipes hold what differs from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import docstring_parser


def model_options(families: Iterable[type[Any]], name: str, told: Iterable[str]) -> type[Any]:
    """Make the options of a model from all configurations: each optional, None for its default.

    Where configurations give one name to options of different types, either type is taken; which of
    them fits is for the configuration to say.
    """
    types: dict[str, Any] = {}
    described: dict[str, str] = {}
    for family in families:
        hints = get_type_hints(family)
        for option in dataclasses.fields(family):
            kind = hints[option.name]
            types[option.name] = types[option.name] | kind if option.name in types else kind
        for option, text in _described(family).items():
            known = described.setdefault(option, text)
            if text not in known:
                described[option] = f"{known} For {family.family}: {text}"
    for option in told:
        types.pop(option, None)
    if "solver" in types:
        types["solver"] = str | dict[str, bool | int | float | str | None]
    fields: list[Any] = [
        ("name", str, name),
        ("weights", str | None, None),
        *((option, kind | None, None) for option, kind in types.items()),
    ]
    options = dataclasses.make_dataclass("ModelOptions", fields)
    options.__doc__ = (
        "Which network, and what differs from its defaults.\n\nAttributes:\n"
        "    name: One of `subquad models`.\n"
        "    weights: A file of weights to start from, ours or the originals'.\n"
        + "\n".join(f"    {option}: {described[option]}" for option in types if option in described)
    )
    return options


def _described(config: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a configuration and its bases say of each attribute."""
    described: dict[str, str] = {}
    for base in reversed(config.__mro__):
        for attribute in docstring_parser.parse(base.__doc__ or "").params:
            described[attribute.arg_name] = " ".join((attribute.description or "").split())
    return described


def given_options(options: Any) -> dict[str, Any]:
    """Return what differs from the named network's defaults, by name."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    return {n: v for n, v in values.items() if v is not None and n not in ("name", "weights")}


def defaults_of(run: Mapping[str, Any], group: str = "data") -> dict[str, Any]:
    """Return a group of a run's options as defaults, by their full names.

    Args:
        run: The options of a run.
        group: Such as "data".
    """
    return {f"{group}.{name}": value for name, value in run.get(group, {}).items()}
