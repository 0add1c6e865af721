"""The networks whose features are compared: Inception from a local file, or a proxy of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from subquad.base.suggest import first_of
from subquad.models.hamgan import HamGANConfig
from subquad.ops.autocast import autocast_off
from subquad.tasks.generation.proxy import ProxyFeatures, load_proxy

INCEPTION_RESIZE = "299 x 299, bilinear as TensorFlow 1: no half-pixel offset, no antialias"


class FeatureNet(Protocol):
    """What features are asked of.

    Attributes:
        distance_name: "FID" or "proxy-FID": what a Frechet distance of these features is called.
        resize: How images are brought to its size, in words.
        description: Which network it is, in words.
        length: Of a feature vector.
        class_names: That its logits stand for, in the order of the data set's; empty of Inception.
        image_shape: (channels, side) of the only images that it takes; None: any.
    """

    distance_name: str
    resize: str
    description: str
    length: int
    class_names: tuple[str, ...]
    image_shape: tuple[int, int] | None

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 (batch, channels, side, side) to features (batch, length) and logits."""
        ...

    def to(self, device: torch.device | str) -> FeatureNet:
        """Move to a device."""
        ...


class Proxy:
    """A `ProxyFeatures` as what features are asked of; see `FeatureNet`.

    Args:
        network: In evaluation mode.
        description: Which it is, in words.
    """

    distance_name = "proxy-FID"

    def __init__(self, network: ProxyFeatures, description: str = "proxy features") -> None:
        self.network = network.eval().requires_grad_(False)
        self.length = network.length
        self.class_names = network.config.class_names
        self.image_shape: tuple[int, int] | None = network.config.channels, network.config.side
        self.resize = f"none: {network.config.side} x {network.config.side}"
        self.description = description

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 pixels to features and logits; see `FeatureNet`."""
        with torch.no_grad(), autocast_off(pixels):
            features = self.network.features(pixels.float() * 2 / 255 - 1)
            return features, self.network.classifier(features)

    def to(self, device: torch.device | str) -> Proxy:
        """Move to a device."""
        self.network.to(device)
        return self


class Inception:
    """The Inception of FID and IS, from a file; see `FeatureNet`.

    It is the network of torch-fidelity, whose features are those of the original TensorFlow graph.
    Grey images become three equal channels.

    Args:
        path: The file of weights; the documentation says where it is had. Nothing is downloaded.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds something else.
    """

    distance_name = "FID"
    resize = INCEPTION_RESIZE
    length = 2048
    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"there is no Inception file {path}; docs/hamgan.md says where it is had."
            )
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError as error:
            raise ValueError("FID needs torch-fidelity: pip install torch-fidelity.") from error

        try:
            torch.load(path, map_location="cpu", weights_only=True)  # theirs would run a pickle's code
            self.network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
            )
        except Exception as error:  # the unpickler raises a dozen kinds for what is no pickle
            raise ValueError(
                f"{path} is not torch-fidelity's Inception (weights-inception-2015-12-05-6726825d.pth): "
                f"{type(error).__name__}; docs/hamgan.md says where it is had."
            ) from error
        self.description = f"torch-fidelity inception-v3-compat, {Path(path).name}, {_fingerprint(path)}"

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 pixels to features and logits without bias; see `FeatureNet`."""
        if pixels.shape[1] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        with torch.no_grad(), autocast_off(pixels):
            features, logits = self.network(pixels)
        return features, logits

    def to(self, device: torch.device | str) -> Inception:
        """Move to a device."""
        self.network.to(device)
        return self


def open_features(proxy: str | Path | None, inception: str | Path | None) -> FeatureNet:
    """Open the one of the two files that is given.

    Raises:
        ValueError: If none or both are given, or the file holds something else.
        FileNotFoundError: If it is not there.
    """
    if (proxy is None) == (inception is None):
        raise ValueError(
            "give --features FILE (made by `subquad features`, for a proxy-FID) or --inception FILE (for FID "
            "and IS), one of them."
        )
    if inception is not None:
        return Inception(inception)
    assert proxy is not None
    network = load_proxy(proxy)
    accuracy = network.config.accuracy
    told = "" if accuracy is None else f", accuracy {100 * accuracy:.1f} %"
    data = network.config.data or "unknown data"
    return Proxy(network, f"proxy features of {data}{told}, {_fingerprint(proxy)}")


def _fingerprint(path: str | Path) -> str:
    """Return what tells one file of features from another: scores of different files do not compare."""
    return f"sha256 {hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}"


def check_features(features: FeatureNet, config: HamGANConfig) -> None:
    """Refuse features that are of other images than those of a network.

    Args:
        features: Of `open_features`.
        config: Of the network whose images are scored.

    Raises:
        ValueError: If they are of other classes, channels or sizes.
    """
    images = config.in_channels, config.size
    if features.image_shape is not None and features.image_shape != images:
        channels, side = features.image_shape
        raise ValueError(
            f"the features are of {side} x {side} images with {channels} channel(s), the network's are "
            f"{images[1]} x {images[1]} with {images[0]}; make features of its data with `subquad features`."
        )
    theirs, ours = features.class_names, config.class_names
    if theirs and (len(theirs) != config.num_classes or (ours and theirs != ours)):
        known = f" ({first_of(ours)})" if ours else ""
        raise ValueError(
            f"the features are of {len(theirs)} classes ({first_of(theirs)}), the network has "
            f"{config.num_classes}{known}; make features of its data with `subquad features`."
        )
