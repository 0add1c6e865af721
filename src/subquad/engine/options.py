"""The options of networks on the command line, as typed values; recipes hold what differs from them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, get_type_hints

from subquad.base.suggest import first_of
from subquad.models import SegmentationConfig, model_config
from subquad.models.config import override, solver_from_json
from subquad.models.families import FAMILIES


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
        section = re.search(r"Attributes:\n((?:        .*\n|\s*\n)*)", base.__doc__ or "")
        found = section[1] if section else ""
        for name, text in re.findall(r"^        (\w+): (.*(?:\n {9,}.*)*)", found, re.M):
            described[name] = " ".join(text.split())
    return described


ModelOptions = model_options(
    (family for family in FAMILIES.values() if issubclass(family, SegmentationConfig)),
    name="light_ham_van_tiny_d256",
    told=("class_names", "palette"),
)


def given_options(options: Any) -> dict[str, Any]:
    """Return what differs from the named network's defaults, by name."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    return {n: v for n, v in values.items() if v is not None and n not in ("name", "weights")}


def resolve_model(options: Any, labels: Any) -> SegmentationConfig:
    """Return the configuration of a network for these options and the classes of the data.

    Raises:
        ValueError: If the class count asked for is not that of the data, or an option is unknown.
    """
    overrides = given_options(options)
    named = model_config(options.name)
    if not isinstance(named, SegmentationConfig):
        raise ValueError(
            f"{options.name} classifies whole images; give a segmentation network as --model.name, such as "
            f"{ModelOptions().name}, and weights of {options.name} as --model.weights."
        )
    asked = overrides.setdefault("num_classes", labels.num_classes)
    if asked != labels.num_classes:
        raise ValueError(
            f"--model.num_classes {asked}, but the data has {labels.num_classes} classes "
            f"({first_of(labels.names)}); leave the option out."
        )
    if isinstance(overrides.get("solver"), dict):
        overrides["solver"] = solver_from_json(overrides["solver"])
    return override(named, {**overrides, "class_names": labels.names, "palette": labels.palette})


def check_classes(network: Any, labels: Any, path: str) -> None:
    """Raise ValueError unless a checkpoint was trained on these classes."""
    config: SegmentationConfig = network.config
    if config.num_classes != labels.num_classes or (config.class_names or labels.names) != labels.names:
        known = f" ({first_of(config.class_names)})" if config.class_names else ""
        raise ValueError(
            f"{path} knows {config.num_classes} classes{known}, the data has "
            f"{labels.num_classes} ({first_of(labels.names)}); evaluate on the data it was "
            f"trained for."
        )
