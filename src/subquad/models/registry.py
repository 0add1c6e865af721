"""Families, networks and names: dictionaries, filled where each is defined. No network is imported here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, TypeVar

from subquad.base.plugins import load_announced, place_of
from subquad.base.suggest import did_you_mean
from subquad.models.fields import kinds_of

if TYPE_CHECKING:
    from subquad.models.config import NetworkConfig
    from subquad.models.network import Network

ENTRY_POINTS = "subquad.families"

FAMILIES: dict[str, type[NetworkConfig]] = {}  # by the name that checkpoints store
NETWORKS: dict[type[NetworkConfig], type[Network]] = {}  # what a configuration builds
NAMES: dict[str, NetworkConfig] = {}

Config = TypeVar("Config", bound="type[NetworkConfig]")
Built = TypeVar("Built", bound="type[Network]")


def register(config: type[NetworkConfig]) -> Callable[[Built], Built]:
    """Make a network class what a configuration builds, and its family known: a decorator.

    Args:
        config: As for `register_family`; the network's constructor takes one.

    Raises:
        ValueError: If the family is another class's already, or the configuration builds another network.
        TypeError: As `register_family`.
    """
    register_family(config)

    def decorate(network: Built) -> Built:
        taken = NETWORKS.get(config)
        if taken is not None and place_of(taken) != place_of(network):
            raise ValueError(f"{config.__name__} builds {place_of(taken)} already; give it one network.")
        NETWORKS[config] = network
        return network

    return decorate


def register_family(config: Config) -> Config:
    """Make the networks of a configuration class ones that can be saved and loaded: a decorator.

    For a configuration that builds its network itself or inherits what it builds; else `register` the
    network, which does this as well.

    A checkpoint stores the name of the family, never of code. Who loads it needs the family
    registered: import the module that does it, or let an installed package announce it as an entry
    point of the group "subquad.families", named as the family is::

        [project.entry-points."subquad.families"]
        mine = "my_package.networks:MineConfig"

    Args:
        config: A frozen dataclass of `NetworkConfig` with a `family` of its own.

    Returns:
        The class itself.

    Raises:
        ValueError: If the name is another class's already.
        TypeError: If it is no dataclass of `NetworkConfig`, or an annotation cannot be resolved.
    """
    has_family = isinstance(config, type) and isinstance(getattr(config, "family", None), str)
    if not (has_family and dataclasses.is_dataclass(config) and hasattr(config, "build")):
        raise TypeError(f"a family is a dataclass of NetworkConfig, got {config!r}.")
    try:
        kinds_of(config)
    except NameError as error:
        raise TypeError(f"files of {config.__name__} could not be checked: {error}.") from error
    taken = FAMILIES.get(config.family)
    if taken is not None and place_of(taken) != place_of(config):
        raise ValueError(
            f"the family {config.family!r} is that of {place_of(taken)}; give {config.__name__} a family of "
            f"its own."
        )
    FAMILIES[config.family] = config
    return config


def family_called(name: str) -> type[NetworkConfig] | None:
    """Return the configuration class of a family; None if neither we nor an installed package knows it.

    Raises:
        ValueError: If the package that announces it cannot be imported, or announces something else.
    """
    if name not in FAMILIES:
        load_announced(ENTRY_POINTS, name, "family", _take_family)
    return FAMILIES.get(name)


def network_of(config: type[NetworkConfig]) -> type[Network]:
    """Return the network class that a configuration class builds, its own or that of its base.

    Raises:
        ValueError: If none is registered.
    """
    family_called(getattr(config, "family", ""))  # whose package may not be imported yet
    for kind in config.__mro__:
        if kind in NETWORKS:
            return NETWORKS[kind]
    raise ValueError(
        f"no network is registered for {config.__name__}; decorate its class with "
        f"subquad.models.register({config.__name__})."
    )


def register_model(name: str, config: NetworkConfig) -> None:
    """Give a configuration a name.

    Raises:
        ValueError: If the name is taken.
    """
    if name in NAMES:
        raise ValueError(f"a model called {name!r} is registered already; choose another name.")
    NAMES[name] = config


def list_models(pattern: str = "*") -> list[str]:
    """Return the known names that match a shell pattern such as "light_ham_*", in order."""
    return [name for name in NAMES if fnmatch(name, pattern)]


def model_config(name: str, **overrides: Any) -> NetworkConfig:
    """Return the configuration of a name, with some options replaced.

    Raises:
        ValueError: If the name or an option is unknown; the message suggests the right one.
    """
    if name not in NAMES:
        hint = did_you_mean(name, NAMES)
        raise ValueError(f"unknown model {name!r}.{hint} `subquad models` lists them all.")
    return NAMES[name].replaced(**overrides)


def _take_family(announced: Any) -> None:
    """Register a configuration class; of a network class, importing it was enough."""
    if announced not in NETWORKS.values():
        register_family(announced)
