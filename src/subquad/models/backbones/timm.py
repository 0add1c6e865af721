"""Any backbone of timm, called "timm/NAME"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subquad.models.backbones.same_padding import make_same_padding_constant
from subquad.models.config import IMAGENET_MEAN, IMAGENET_STD


class TimmBackbone(nn.Module):
    """The feature maps of a timm network, randomly initialised; `load_original` fills it from a file.

    Args:
        name: As timm spells it, such as "resnet18" or "convnext_tiny".
        in_channels: Of the images.
        drop_path: Given to the network if it knows stochastic depth.
        output_stride: Of the coarsest map: 8, 16 or 32; None for the network's own.

    Attributes:
        channels: Of the maps, fine to coarse.
        strides: Of the maps, fine to coarse.
        aligned_sizes: Sides that are multiples of this have maps that lie on the image without a shift.

    Raises:
        ValueError: If timm is not installed, does not know the name, gives no feature maps, or not at
            that output stride.
    """

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 3,
        drop_path: float = 0.0,
        output_stride: int | None = None,
    ) -> None:
        super().__init__()
        options = {"features_only": True, "in_chans": in_channels}
        try:
            self.network = _with_stride(name, options, {"drop_path_rate": drop_path}, output_stride)
        except RuntimeError as error:
            raise ValueError(f"timm's {name!r} gives no feature maps: {error}") from error
        make_same_padding_constant(self.network)
        self.channels: tuple[int, ...] = tuple(self.network.feature_info.channels())
        self.strides: tuple[int, ...] = tuple(self.network.feature_info.reduction())
        self.aligned_sizes = max(self.strides)
        self.channels_are_last = str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (batch, in_channels, H, W) to the feature maps, fine to coarse, channels first."""
        maps = self.network(images)
        return [m.movedim(-1, 1) for m in maps] if self.channels_are_last else list(maps)


def create_timm(name: str, options: Mapping[str, Any], wanted: Mapping[str, Any]) -> Any:
    """Build a network of timm, randomly initialised.

    Args:
        name: As timm spells it.
        options: Of timm's `create_model`.
        wanted: More of them, the last of which are left out until the network knows the rest.

    Raises:
        ValueError: If timm is not installed or does not know the name.
    """
    timm, left = _timm_with(name), dict(wanted)
    while True:
        try:
            return timm.create_model(name, pretrained=False, **options, **left)
        except TypeError:  # such as a network without stochastic depth
            if not left:
                raise
            left.popitem()


def _with_stride(
    name: str, options: Mapping[str, Any], wanted: Mapping[str, Any], output_stride: int | None
) -> Any:
    """Build a network whose coarsest map has that stride, with dilated convolutions in place of strides."""
    if output_stride is None:
        return create_timm(name, options, wanted)
    try:
        network = create_timm(name, {**options, "output_stride": output_stride}, wanted)
        strides = tuple(network.feature_info.reduction())
    except (AssertionError, NotImplementedError, TypeError) as error:  # each family refuses in its own way
        raise ValueError(
            f"the output stride of timm's {name!r} cannot be {output_stride}; leave output_stride out."
        ) from error
    if strides[-1] != output_stride:
        raise ValueError(
            f"timm's {name!r} cannot have the output stride {output_stride}: its maps have the strides "
            f"{', '.join(map(str, strides))}; give one of these, or leave output_stride out."
        )
    return network


def takes_one_size(name: str) -> bool:
    """Say whether a network of timm takes images of the size only that it is built for."""
    known = _timm_with(name).get_pretrained_cfg(name, allow_unregistered=True)
    return bool(known is not None and known.fixed_input_size)


@dataclass(frozen=True)
class TimmSettings:
    """What timm knows of the pretrained weights of a network.

    Attributes:
        name: Of the network, as timm spells it.
        repository: Of the Hugging Face Hub, "user/name"; None if they are elsewhere.
        url: Where else they are, if anywhere.
        mean: Per channel, of images in [0, 1].
        std: Per channel.
    """

    name: str
    repository: str | None
    url: str | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def download(self) -> Path:
        """Return the file of the weights, out of the caches of the Hub and of PyTorch if it is there.

        Raises:
            ValueError: If it cannot be had; the message tells which file it is, and where it belongs.
        """
        if self.repository is None and self.url is None:
            raise ValueError(f"timm has no pretrained weights of {self.name!r}; leave pretrained out.")
        try:
            return _from_hub(self.repository) if self.repository else _from_url(self.url or "")
        except Exception as error:  # of the network, a proxy, the repository: each its own class
            what = (
                f"model.safetensors of https://huggingface.co/{self.repository}"
                if self.repository
                else str(self.url)
            )
            raise ValueError(
                f"the pretrained weights of timm's {self.name!r} cannot be downloaded "
                f"({type(error).__name__}); fetch {what} where there is a connection, and "
                f"give the file as weights (--model.weights)."
            ) from error


def timm_settings(name: str) -> TimmSettings:
    """Return what timm knows of a network's pretrained weights, by its default tag if none is given.

    Raises:
        ValueError: If timm is not installed or does not know the name.
    """
    known = _timm_with(name).get_pretrained_cfg(name, allow_unregistered=True)
    if known is None:
        return TimmSettings(name, None, None, IMAGENET_MEAN, IMAGENET_STD)
    return TimmSettings(
        name, known.hf_hub_id, known.url or None, tuple(map(float, known.mean)), tuple(map(float, known.std))
    )


def _from_hub(repository: str) -> Path:
    from huggingface_hub import get_session, hf_hub_download, hf_hub_url, try_to_load_from_cache

    name = "model.safetensors"
    known = try_to_load_from_cache(repository, name)
    if isinstance(known, str):
        return Path(known)
    get_session().head(hf_hub_url(repository, name), timeout=10)  # fails at once, not after many attempts
    return Path(hf_hub_download(repository, name))


def _from_url(url: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=False)
    return path


def _timm_with(name: str) -> Any:
    """Return timm, if it is there and knows a network."""
    try:
        import timm
    except ImportError as error:
        raise ValueError("a timm/ backbone needs timm: pip install 'subquad[train]'.") from error
    # A name and a tag of its list alone: other forms of a name would be looked up elsewhere.
    if not re.fullmatch(r"\w+(\.\w+)?", name) or not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name[:6]}*")[:3]) or "see timm.list_models()"
        raise ValueError(f"timm knows no network {name!r}; near it: {near}.")
    return timm
