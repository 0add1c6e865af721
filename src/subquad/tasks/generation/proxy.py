"""Features without Inception: a small classifier of ours, trained on the labels of the data set.

A Frechet distance of its features is a proxy-FID: it compares networks on one data set with one such
classifier, and nothing else. It is never a FID.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from subquad.base.files import write_whole
from subquad.base.limits import LARGEST_WIDTH
from subquad.models.checkpoint import read_safetensors, refuse_not_finite
from subquad.models.fields import check_range, fit_fields

_KEY = "subquad_proxy_features"


@dataclass(frozen=True, kw_only=True)
class ProxyConfig:
    """What a `ProxyFeatures` was made for, and from.

    Attributes:
        class_names: Of the data set.
        channels: Of its pictures.
        side: Their height and width.
        width: Channels of the first convolution.
        accuracy: On the evaluation set, 0 to 1; None before training.
        data: What it was trained on, in words.
        epochs: For how long.
        seed: Of its training.
    """

    class_names: tuple[str, ...]
    channels: int
    side: int
    width: int = 32
    accuracy: float | None = None
    data: str = ""
    epochs: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        fit_fields(self)
        check_range(self, 1, LARGEST_WIDTH, "channels", "side", "width")


class ProxyFeatures(nn.Module):
    """Convolutions that halve the side to 4, the mean over the positions, and a linear classifier.

    Args:
        config: Its options.

    Attributes:
        length: Of the feature vectors, which are those means.
    """

    def __init__(self, config: ProxyConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels, config.width]
        layers: list[nn.Module] = [_layer(widths[0], widths[1], stride=1)]
        side = config.side
        while side > 4:
            widths.append(min(widths[-1] * 2, 4 * config.width))
            layers.append(_layer(widths[-2], widths[-1], stride=2))
            side = -(-side // 2)
        self.layers = nn.Sequential(*layers)
        self.length = widths[-1]
        self.classifier = nn.Linear(self.length, len(config.class_names))

    def features(self, images: Tensor) -> Tensor:
        """Map images in -1..1 (batch, channels, side, side) to features (batch, length).

        Raises:
            ValueError: If the images are of another size.
        """
        expected = (self.config.channels, self.config.side, self.config.side)
        if images.shape[1:] != expected:
            raise ValueError(
                f"the features are of images {expected}, got {tuple(images.shape[1:])}; train features on "
                f"this data with `subquad features`."
            )
        return self.layers(images.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Map images in -1..1 to logits (batch, classes)."""
        return self.classifier(self.features(images))


def save_proxy(network: ProxyFeatures, path: str | Path) -> None:
    """Write a network and what it is to one safetensors file, atomically."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_whole(path, save(tensors, metadata={_KEY: json.dumps(asdict(network.config))}))


def load_proxy(path: str | Path) -> ProxyFeatures:
    """Rebuild a network from a file of `save_proxy`, in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file.
    """
    tensors, metadata = read_safetensors(path)
    if _KEY not in metadata:
        raise ValueError(f"{path} holds no proxy features; make them with `subquad features`.")
    refuse_not_finite(tensors, path)
    try:
        config = ProxyConfig(**json.loads(metadata[_KEY]))
        with torch.device("meta"):  # what does not fit is found before it costs memory
            network = ProxyFeatures(config)
        network.load_state_dict(tensors, assign=True)
    except (RuntimeError, ValueError, TypeError) as error:  # a RecursionError is a RuntimeError
        raise ValueError(f"{path} does not fit its own description; the file is damaged.") from error
    network.float()
    return network.to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]


def _layer(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
