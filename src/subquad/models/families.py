"""Families of networks: the configuration classes that checkpoints name, ours and other packages'."""

from __future__ import annotations

import dataclasses
from importlib.metadata import entry_points
from typing import TypeVar

from subquad.models.config import NetworkConfig
from subquad.models.fields import kinds_of

ENTRY_POINTS = "subquad.families"

# By the name that checkpoints store.
FAMILIES: dict[str, type[NetworkConfig]] = {}

Config = TypeVar("Config", bound=NetworkConfig)


def register_family(config: type[Config]) -> type[Config]:
    """Make the networks of a configuration class ones that can be saved and loaded: a decorator.

    A checkpoint stores the name of the family, never of code. Who loads it needs the family
    registered: import the module that does it, or let an installed package announce it as an entry
    point of the group "subquad.families", named as the family is::

        [project.entry-points."subquad.families"]
        mine = "my_package.networks:MineConfig"

    Args:
        config: A frozen dataclass with a `family` of its own, and `build`.

    Returns:
        The class itself.

    Raises:
        ValueError: If the name is another class's already.
        TypeError: If it is no dataclass of `NetworkConfig`, or an annotation cannot be resolved.
    """
    if not (
        isinstance(config, type) and issubclass(config, NetworkConfig) and dataclasses.is_dataclass(config)
    ):
        raise TypeError(f"a family is a dataclass of NetworkConfig, got {config!r}.")
    try:
        kinds_of(config)
    except NameError as error:
        raise TypeError(f"files of {config.__name__} could not be checked: {error}.") from error
    taken = FAMILIES.get(config.family)
    if taken is not None and (taken.__module__, taken.__qualname__) != (
        config.__module__,
        config.__qualname__,
    ):
        raise ValueError(
            f"the family {config.family!r} is that of {taken.__module__}.{taken.__qualname__}; give "
            f"{config.__name__} a family of its own."
        )
    FAMILIES[config.family] = config
    return config


def family_called(name: str) -> type[NetworkConfig] | None:
    """Return the configuration class of a family; None if neither we nor an installed package knows it.

    Raises:
        ValueError: If the package that announces it cannot be imported, or announces something else.
    """
    if name not in FAMILIES:
        for point in entry_points(group=ENTRY_POINTS, name=name):
            try:
                register_family(point.load())
            except Exception as error:  # whatever a foreign module raises
                raise ValueError(f"the family {name!r} of {point.value} cannot be had: {error}") from error
    return FAMILIES.get(name)
