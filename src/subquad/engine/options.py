"""Options that commands have in common, under the same names; and those of networks, as typed values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import docstring_parser

from subquad.engine.parsing import Parser

_STARTS = ("name", "weights", "pretrained")  # options of a model that are not of its configuration


def add_checkpoint(p: Parser, more: str = "") -> None:
    """Add the network that a command works with.

    Args:
        p: The parser.
        more: What help says after a comma.
    """
    p.add_argument("checkpoint", type=str, help=f"A .safetensors file, or a folder that `fit` wrote{more}.")


def add_optional(p: Parser, name: str, kind: Any, help: str) -> None:
    """Add an option that is None if it is not given.

    Args:
        p: The parser.
        name: Without dashes.
        kind: Of its value, if there is one.
        help: What it means.
    """
    p.add_argument(f"--{name}", type=kind | None, default=None, help=help)


def add_overwrite(p: Parser) -> None:
    """Add `--overwrite`; `subquad.engine.outputs.check_outputs` minds it, and `--output`."""
    p.add_argument("--overwrite", action="store_true", help="Replace files that are there.")


def add_device(p: Parser) -> None:
    """Add `--device`."""
    p.add_argument("--device", type=str, default="cpu", help="Such as cpu or cuda.")


def add_compile(p: Parser) -> None:
    """Add whether the network is compiled in training."""
    p.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="Compile the network with torch.compile: half a minute or more at the start, faster steps.",
    )


def add_json(p: Parser, what: str) -> None:
    """Add `--json`; `subquad.engine.outputs.check_scores` minds it, `write_scores` writes it.

    Args:
        p: The parser.
        what: What it writes.
    """
    add_optional(p, "json", str, f"Write {what} to this file.")


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
    start = [("pretrained", bool | str | None, None)] if "backbone" in types else []
    fields: list[Any] = [
        ("name", str, name),
        ("weights", str | None, None),
        *start,
        *((option, kind | None, None) for option, kind in types.items()),
    ]
    options = dataclasses.make_dataclass("ModelOptions", fields)
    options.__doc__ = (
        "Which network, and what differs from its defaults.\n\nAttributes:\n"
        "    name: One of `subquad models`.\n"
        "    weights: A file of weights to start from, ours, the originals', timm's or torchvision's.\n"
        "    pretrained: ImageNet weights of the backbone to start from: efficientnet_lite0, 1 or 2 of the "
        "extra [pretrained], or true for timm's own of a backbone timm/NAME, which are downloaded.\n"
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
    """Return what differs from the named network's defaults, by name, for `Config.replaced`."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    return {n: v for n, v in values.items() if v is not None and n not in _STARTS}


def defaults_of(run: Mapping[str, Any], group: str = "data") -> dict[str, Any]:
    """Return a group of a run's options as defaults, by their full names.

    Args:
        run: The options of a run.
        group: Such as "data".
    """
    return {f"{group}.{name}": value for name, value in run.get(group, {}).items()}
