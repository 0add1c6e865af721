"""Names of networks: values, not code."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from torch import nn

from subquad.base.suggest import did_you_mean
from subquad.models.config import NetworkConfig, override

_MODELS: dict[str, NetworkConfig] = {}


def register_model(name: str, config: NetworkConfig) -> None:
    """Give a configuration a name.

    Raises:
        ValueError: If the name is taken.
    """
    if name in _MODELS:
        raise ValueError(f"a model called {name!r} is registered already; choose another name.")
    _MODELS[name] = config


def list_models(pattern: str = "*") -> list[str]:
    """Return the known names that match a shell pattern such as "light_ham_*", in order."""
    return [name for name in _MODELS if fnmatch(name, pattern)]


def model_config(name: str, **overrides: Any) -> NetworkConfig:
    """Return the configuration of a name, with some options replaced.

    Raises:
        ValueError: If the name or an option is unknown; the message suggests the right one.
    """
    if name not in _MODELS:
        raise ValueError(
            f"unknown model {name!r}.{did_you_mean(name, _MODELS)} `subquad models` lists them all."
        )
    return override(_MODELS[name], overrides)


def create_model(name: str, **overrides: Any) -> nn.Module:
    """Build a network by name, randomly initialised.

    Args:
        name: One of `list_models()`.
        **overrides: Options of its configuration, such as `num_classes=11` or `rank=16`; a solver
            is a value (`VQ(temperature=0.1)`) or a name ("VQ").

    Returns:
        The network in training mode. For any H and W, a segmentation network maps normalised images
        (batch, in_channels, H, W) to logits (batch, num_classes, H, W), a classifier to logits
        (batch, num_classes). A sequence network maps tokens (batch, n) or values (batch, n,
        in_features) to (batch, num_classes). HamGAN makes images of one size from random vectors
        and classes.

    Raises:
        ValueError: If the name or an option is unknown; the message suggests the right one.
    """
    return model_config(name, **overrides).build()
