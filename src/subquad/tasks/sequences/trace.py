"""A network on sequences as a graph for any batch and length, without chance in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from subquad.export.graph import graph_of
from subquad.models import SequenceConfig

_BATCH = 32  # so that one sequence of which rounding decides does not decide about the file


class WithLengths(nn.Module):
    """A network whose lengths are an input like any other.

    Args:
        network: A sequence network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Map sequences (batch, n), of which the first `lengths` positions count, to logits."""
        return self.network(inputs, lengths=lengths)


@dataclass
class TracedSequences:
    """A network on sequences and its graph; see `subquad.export.trace.Traced`.

    Attributes:
        config: Of the network.
        example: Positions of the example.
    """

    network: nn.Module
    program: ExportedProgram
    config: SequenceConfig
    example: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return "inputs", "lengths"

    @property
    def carried(self) -> tuple[str, ...]:
        """Nothing: there is no state."""
        return ()

    @property
    def smallest(self) -> int:
        """Positions of the shortest sequence."""
        return 1

    @property
    def takes(self) -> str:
        """Which sequences the graph takes."""
        most = "on" if self.config.longest is None else f"to {self.config.longest}"
        return f"sequences: any batch of any lengths from {self.smallest} {most}"

    @property
    def unit(self) -> float:
        """The deviation of the values of a regression, 1 of logits."""
        return self.config.target_std

    @property
    def axes(self) -> tuple[tuple[str, ...], ...]:
        """Names of the free axes."""
        features = () if self.config.vocab_size is not None else ("",)
        return ("batch", "positions", *features), ("batch",)

    def questions(self, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Yield random sequences of different lengths, then one of one position."""
        longest = self.config.longest or 2 * self.example + 3
        shapes = (_BATCH, max(1, self.example - 3)), (_BATCH, self.example + 1), (1, longest), (1, 1)
        for batch, n in shapes:
            lengths = torch.randint(1, n + 1, (batch,), generator=generator)
            lengths[0] = n
            inputs = draw(self.config, batch, n, generator)
            inputs[torch.arange(n) >= lengths.unsqueeze(1)] = -1 if self.config.vocab_size else torch.nan
            yield inputs, lengths

    def metadata(self) -> dict[str, Any]:
        """Return what a user of the file must know."""
        config = self.config
        tokens = config.vocab_size
        return {
            "inputs": "float32" if tokens is None else f"int64 tokens, 0..{tokens - 1}",
            "lengths": "int64, positions of each sequence that count, at least 1; others may hold anything",
            "token_names": config.token_names,
            "class_names": config.class_names,
            "regression": config.regression,
            "longest": config.longest,
        }


def trace_sequences(
    network: nn.Module,
    *,
    size: tuple[int, int] | None = None,
    in_channels: int | None = None,
    preprocess: bool = False,
) -> TracedSequences:
    """Make the graph of a sequence network; the network stays as it is.

    Args:
        network: A sequence network.
        size: None, as the next two: they are for networks on images.
        in_channels: None.
        preprocess: False.

    Raises:
        ValueError: If it cannot be traced for any length (rivals of other packages cannot), or an option is
            for networks on images.
    """
    given = {"size": size, "in_channels": in_channels, "preprocess": preprocess or None}
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name}={value} is for networks on images, this one is on sequences; leave it out."
            )
    config: Any = network.config
    if config.longest is not None and config.longest < 3:
        raise ValueError(
            f"the network takes at most {config.longest} positions, too few for a graph that takes any "
            f"length; build it with length=3 or more."
        )
    example = max(2, min(config.length - 1, 67))
    whole = WithLengths(copy.deepcopy(network).cpu().float().eval())
    anything = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    inputs = draw(config, 2, example, torch.Generator().manual_seed(0))
    program = graph_of(
        whole,
        (inputs, torch.tensor([example, 1])),
        (anything, {0: Dim.DYNAMIC}),
        f"{type(network).__name__} with context {config.context!r} for sequences of any lengths",
    )
    return TracedSequences(whole, program, config, example)


def draw(config: SequenceConfig, batch: int, n: int, generator: torch.Generator) -> Tensor:
    """Return random tokens (batch, n), or values (batch, n, features) like those of training."""
    if config.vocab_size is None:
        values = torch.randn(batch, n, config.in_features, generator=generator)
        if config.mean is None or config.std is None:
            return values
        return values * torch.tensor(config.std) + torch.tensor(config.mean)
    return torch.randint(config.vocab_size, (batch, n), generator=generator)
