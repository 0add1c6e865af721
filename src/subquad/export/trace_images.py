"""A network on images as a graph for any batch, height and width, without chance in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from subquad.export.class_maps import name_of
from subquad.export.graph import graph_of
from subquad.models import ImageConfig

# Batch, height and width; none is what is traced. Together they have sixty thousand pixels, so that a
# tie between two classes, which rounding decides, does not decide about the file.
USUAL_SIZE = (192, 256)
_UNSEEN = ((1, 97, 131), (3, 65, 97), (2, 163, 95))


class Preprocessed(nn.Module):
    """A network that takes pictures as they are: uint8 in 0..255, normalised inside.

    Args:
        network: Takes normalised images.
        mean: Per channel, subtracted from images in [0, 1].
        std: Per channel, divided by after that.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (batch, channels, H, W) to what the network gives."""
        return self.network((images.float() / 255 - self.mean) / self.std)


@dataclass
class TracedImages:
    """A network on images and its graph; see `subquad.export.trace.Traced`.

    Attributes:
        config: That of the network, if it is one of ours.
        in_channels: Of the images.
        preprocess: Whether images are uint8.
    """

    network: nn.Module
    program: ExportedProgram
    config: ImageConfig | None
    in_channels: int
    preprocess: bool
    smallest: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return ("images",)

    @property
    def carried(self) -> tuple[str, ...]:
        """Nothing: there is no state."""
        return ()

    @property
    def takes(self) -> str:
        """Which images the graph takes."""
        box = getattr(self.config, "resize", None)
        first = f"; `subquad predict` resizes them to fit {max(box)} x {min(box)} before" if box else ""
        return f"images: any batch, any size from {self.smallest} x {self.smallest} on{first}"

    @property
    def unit(self) -> float:
        """That of logits."""
        return 1.0

    @property
    def axes(self) -> tuple[tuple[str, ...], ...]:
        """Names of the free axes of the images."""
        return (("batch", "", "height", "width"),)

    def questions(self, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Yield random images, uint8 or normal."""
        larger = max(0, self.smallest - 64)
        shapes = [(batch, height + larger, width + larger) for batch, height, width in _UNSEEN]
        for batch, height, width in [*shapes, (1, self.smallest, self.smallest)]:
            shape = (batch, self.in_channels, height, width)
            if self.preprocess:
                yield (torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),)
            else:
                yield (torch.randn(shape, generator=generator),)

    def metadata(self) -> dict[str, Any]:
        """Return what a user of the file must know."""
        known: dict[str, Any] = {"images": "uint8, 0..255" if self.preprocess else "float32, normalised"}
        if self.config is not None:
            mean, std = self.config.normalization
            known |= {"mean": mean, "std": std, "class_names": self.config.class_names}
            known["palette"] = getattr(self.config, "palette", ())
            if box := getattr(self.config, "resize", None):
                known["resize"] = box
        return known | {"smallest_image": self.smallest}


def trace_images(
    network: nn.Module,
    *,
    size: tuple[int, int] | None = None,
    in_channels: int | None = None,
    preprocess: bool = False,
) -> TracedImages:
    """Make the graph of a network; the network stays as it is.

    Args:
        network: Maps (batch, channels, H, W) to logits.
        size: Height and width of the example, `USUAL_SIZE` if not given; any that the network takes, far
            from its smallest.
        in_channels: Of the images; only for networks that are not of `create_model`.
        preprocess: Take uint8 images and normalise them inside, with the values of the network's
            configuration.

    Raises:
        ValueError: If the network is not on images, cannot be traced for any size, draws random
            numbers, or if `in_channels` or the normalisation is unknown.
    """
    config = getattr(network, "config", None)
    config, name = config if isinstance(config, ImageConfig) else None, name_of(network)
    channels = in_channels if config is None else config.in_channels
    if channels is None:
        raise ValueError(f"a {name} does not tell how many channels its images have; give in_channels.")
    network = copy.deepcopy(network).cpu().float().eval()
    if preprocess:
        if config is None:
            raise ValueError(
                f"a {name} does not tell its normalisation; wrap it in a module that normalises, and export "
                f"that."
            )
        network = Preprocessed(network, *config.normalization).eval()
    images = torch.zeros(
        2, channels, *(size or USUAL_SIZE), dtype=torch.uint8 if preprocess else torch.float32
    )
    anything = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    program = graph_of(network, (images,), (anything,), f"{name} for any image size")
    smallest = _smallest(program, images[:1])
    _check_larger(program, images[:1])
    return TracedImages(network, program, config, channels, preprocess, smallest)


def _check_larger(program: ExportedProgram, images: Tensor) -> None:
    """Raise ValueError unless a graph of a small example takes larger images, too.

    A map of one pixel, somewhere inside, is a case of its own to PyTorch: the graph is then of images that
    are as small, and ONNX, which keeps no guards, would not say so.
    """
    height, width = images.shape[2:]
    times = -(-min(USUAL_SIZE) // min(height, width))
    if times < 2:
        return
    try:
        with torch.no_grad():
            program.module()(images.repeat(1, 1, times, times))
    except Exception as error:  # of a guard
        raise ValueError(
            f"the network traced at {height} x {width} does not take {times * height} x {times * width}: the "
            f"example is too small; give a larger size, or none for {USUAL_SIZE[0]} x {USUAL_SIZE[1]}."
        ) from error


def _smallest(program: ExportedProgram, images: Tensor) -> int:
    """Return the side from which on the graph takes images, found by trying.

    The bounds that tracing reports are too low where a map of one pixel, somewhere inside, is a case
    of its own to PyTorch.
    """
    name = next(iter(program.graph_signature.user_inputs))
    node = next(node for node in program.graph.nodes if node.name == name)
    meta: Any = node.meta
    bounds: Any = program.range_constraints
    run, lowest = program.module(), max(int(bounds[side.node.expr].lower) for side in meta["val"].shape[2:])
    for side in range(lowest, min(images.shape[2:])):
        try:
            with torch.no_grad():
                run(images[:, :, :side, :side])
        except Exception:  # of a guard, or of an operator for which the image is too small
            continue
        return side
    raise ValueError(
        f"the traced network takes no image from {lowest} x {lowest} to the example's size "
        f"{tuple(images.shape[2:])}; give a larger size."
    )
