"""A network as a graph for inputs of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from subquad.export.trace_images import trace_images
from subquad.models import SequenceConfig
from subquad.tasks.sequences.trace import trace_sequences

USUAL_SIZE = (192, 256)


class Traced(Protocol):
    """A network and its graph.

    Attributes:
        network: A copy of the network: on the CPU, in float32, in evaluation mode.
        program: Its graph.
    """

    network: nn.Module
    program: ExportedProgram

    @property
    def smallest(self) -> int:
        """Height, and width, from which on the graph takes images; the length of sequences."""
        ...

    @property
    def unit(self) -> float:
        """What an error in its answers is measured in where they are smaller; see `ShapeCheck`."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        ...

    @property
    def axes(self) -> tuple[tuple[str, ...], ...]:
        """Names of the free axes of each input; "" where one is fixed."""
        ...

    def questions(self, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Yield random inputs, of shapes that tracing did not see, and of the smallest."""
        ...

    def metadata(self) -> dict[str, Any]:
        """Return what a user of the file must know."""
        ...


def trace(
    network: nn.Module,
    *,
    size: tuple[int, int] | None = None,
    in_channels: int | None = None,
    preprocess: bool = False,
) -> Traced:
    """Make the graph of a network on images or on sequences; see `trace_images` and `trace_sequences`.

    Raises:
        ValueError: If it cannot be traced, or an option is for the other kind.
    """
    if not isinstance(getattr(network, "config", None), SequenceConfig):
        return trace_images(network, size=size or USUAL_SIZE, in_channels=in_channels, preprocess=preprocess)
    given = {"size": size, "in_channels": in_channels, "preprocess": preprocess or None}
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name}={value} is for networks on images, this one is on sequences; leave it out."
            )
    return trace_sequences(network)
