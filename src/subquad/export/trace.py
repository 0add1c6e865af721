"""A network as a graph for any batch, height and width, without chance in it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule, Node

from subquad.models import ImageConfig, NetworkConfig

# What a random operator is told to be none: dropout in evaluation, attention without dropout.
_SWITCHES = ("train", "training", "dropout_p")


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


@dataclass(frozen=True)
class Traced:
    """A network and its graph.

    Attributes:
        network: A copy of the network: on the CPU, in float32, in evaluation mode.
        program: Its graph.
        config: That of the network, if it is one of ours.
        in_channels: Of the images.
        preprocess: Whether images are uint8.
        smallest: Height, and width, from which on the graph takes images.
    """

    network: nn.Module
    program: ExportedProgram
    config: ImageConfig | None
    in_channels: int
    preprocess: bool
    smallest: int

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Return random images, uint8 or normal."""
        shape = (batch, self.in_channels, height, width)
        if self.preprocess:
            return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return torch.randn(shape, generator=generator)


def trace(
    network: nn.Module,
    *,
    size: tuple[int, int],
    in_channels: int | None = None,
    preprocess: bool = False,
) -> Traced:
    """Make the graph of a network; the network stays as it is.

    Args:
        network: Maps (batch, channels, H, W) to logits.
        size: Height and width of the example; any that the network takes, far from its smallest.
        in_channels: Of the images; only for networks that are not of `create_model`.
        preprocess: Take uint8 images and normalise them inside, with the values of the network's
            configuration.

    Raises:
        ValueError: If the network is not on images, cannot be traced for any size, draws random
            numbers, or if `in_channels` or the normalisation is unknown.
    """
    config = getattr(network, "config", None)
    if isinstance(config, NetworkConfig) and config.family in ("sequence", "hamgan"):
        raise ValueError(
            f"only networks that map images to logits are exported like this, and a {type(network).__name__} "
            f"does not; torch.export takes it as it is, see the end of its page in the documentation."
        )
    config = config if isinstance(config, ImageConfig) else None
    channels = in_channels if config is None else config.in_channels
    if channels is None:
        raise ValueError(
            f"a {type(network).__name__} does not tell how many channels its images have; give in_channels."
        )
    network = copy.deepcopy(network).cpu().float().eval()
    if preprocess:
        if config is None:
            raise ValueError(
                f"a {type(network).__name__} does not tell its normalisation; wrap it in a module that "
                f"normalises, and export that."
            )
        network = Preprocessed(network, *config.normalization).eval()
    images = torch.zeros(2, channels, *size, dtype=torch.uint8 if preprocess else torch.float32)
    anything = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    try:
        with torch.no_grad():
            program = torch.export.export(network, (images,), dynamic_shapes=(anything,))
    except Exception as error:  # whatever a foreign forward raises
        raise ValueError(
            f"torch.export cannot follow {type(network).__name__} for any image size: {first_line(error)}"
        ) from error
    for operator in random_operators(program):
        raise ValueError(
            f"the network draws random numbers even in evaluation ({operator}), so its file would give "
            f"another answer each time; nothing was written."
        )
    return Traced(network, program, config, channels, preprocess, _smallest(program, images[:1]))


def random_operators(program: ExportedProgram) -> list[str]:
    """Return the operators of a graph that depend on chance."""
    modules = [module for module in program.graph_module.modules() if isinstance(module, GraphModule)]
    nodes = [node for module in modules for node in module.graph.nodes]
    return [str(node.target) for node in nodes if _is_random(node)]


def first_line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)


def _is_random(node: Node) -> bool:
    target: Any = node.target
    if torch.Tag.nondeterministic_seeded not in getattr(target, "tags", ()):
        return False
    names = [argument.name for argument in target._schema.arguments]
    defaults = {argument.name: argument.default_value for argument in target._schema.arguments}
    given = defaults | dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return not any(name in given and not given[name] for name in _SWITCHES)


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
