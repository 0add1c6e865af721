"""A network as a graph for inputs of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from subquad.base.plugins import load
from subquad.export.class_maps import name_of
from subquad.models import ImageConfig


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
    def takes(self) -> str:
        """What the graph takes, in words."""
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
    def carried(self) -> tuple[str, ...]:
        """Names of the inputs, the last ones, that the graph gives anew after its answer: its state."""
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
    """Make the graph of a network as its configuration says; of another module, as that of one on images.

    Raises:
        ValueError: If it cannot be traced, or an option is not for such networks.
    """
    where = getattr(getattr(network, "config", None), "tracer", ImageConfig.tracer)
    if where is None:
        raise ValueError(
            f"only networks whose configuration names a tracer, as those that map images or sequences to "
            f"logits do, are exported like this, and a {name_of(network)} does not; torch.export takes "
            f"it as it is, see docs/export.md."
        )
    return load(where)(network, size=size, in_channels=in_channels, preprocess=preprocess)
