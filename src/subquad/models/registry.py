"""Names of networks: values, not code."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from torch import nn

from subquad.models.config import SegmentationConfig, override
from subquad.models.light_ham import LightHamConfig
from subquad.models.suggest import did_you_mean

_MODELS: dict[str, SegmentationConfig] = {}

# Configuration classes by the family name that checkpoints store.
FAMILIES: dict[str, type[SegmentationConfig]] = {LightHamConfig.family: LightHamConfig}


def register_model(name: str, config: SegmentationConfig) -> None:
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


def model_config(name: str, **overrides: Any) -> SegmentationConfig:
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
        The network in training mode; a segmentation network maps normalised images
        (batch, in_channels, H, W) to logits (batch, num_classes, H, W), for any H and W.

    Raises:
        ValueError: If the name or an option is unknown; the message suggests the right one.
    """
    return model_config(name, **overrides).build()


def _light_ham(size: str, width: int, channels: int, rank: int, drop_path: float = 0.1) -> LightHamConfig:
    return LightHamConfig(
        backbone=f"van_{size}",
        ham_channels=width,
        channels=channels,
        rank=rank,
        drop_path=drop_path,
    )


# As in the originals' configurations. The rank of small_d256 is inferred from its published cost.
register_model("light_ham_van_tiny_d256", _light_ham("tiny", 256, 256, 16))
register_model("light_ham_van_tiny", _light_ham("tiny", 480, 512, 64))
register_model("light_ham_van_small_d256", _light_ham("small", 256, 256, 32))
register_model("light_ham_van_small", _light_ham("small", 512, 512, 64))
register_model("light_ham_van_base", _light_ham("base", 512, 512, 64))
register_model("light_ham_van_large", _light_ham("large", 512, 512, 64, drop_path=0.25))
register_model("light_ham_van_huge", _light_ham("huge", 512, 512, 64, drop_path=0.3))
