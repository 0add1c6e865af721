"""A network of text as a graph of one step: a token and what was before it, to what comes next."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from subquad.export.graph import graph_of
from subquad.models import LanguageConfig, LanguageNetwork
from subquad.nn.causal import Cache

_BATCH = 32  # so that one sample of which rounding decides does not decide about the file


class Step(nn.Module):
    """A network whose cache is inputs and outputs like any other.

    Args:
        network: Of text.

    Attributes:
        names: Of the tensors of the cache.
    """

    def __init__(self, network: LanguageNetwork) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(network.init_cache(1))

    def forward(self, tokens: Tensor, *cache: Tensor) -> tuple[Tensor, ...]:
        """Map tokens (batch,) and the cache before them to logits and the cache after them."""
        # A step may overwrite its cache; who gives it here may ask again.
        before = {name: tensor.clone() for name, tensor in zip(self.names, cache, strict=True)}
        logits, after = self.network.step(tokens, before)
        return logits, *(after[name] for name in self.names)


@dataclass
class TracedStep:
    """A network of text and the graph of its step; see `subquad.export.trace.Traced`.

    Attributes:
        config: Of the network.
    """

    network: Step
    program: ExportedProgram
    config: LanguageConfig

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return "tokens", *self.network.names

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the tensors of the cache."""
        return self.network.names

    @property
    def smallest(self) -> int:
        """Tokens that it takes."""
        return 1

    @property
    def takes(self) -> str:
        """Which tokens the graph takes."""
        return (
            "tokens: one of each sample, any batch; its cache is zeros before the first, and then what the "
            "graph gave for the last one"
        )

    @property
    def unit(self) -> float:
        """That of logits."""
        return 1.0

    @property
    def axes(self) -> tuple[tuple[str, ...], ...]:
        """Names of the free axes: the batch, and those along which a cache grows."""
        empty = self.network.network.init_cache(1, device="meta")
        return ("batch",), *(_axes(empty[name]) for name in self.network.names)

    def questions(self, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Yield tokens and the caches of texts of some lengths, the first of them none."""
        chunk = self.config.chunk
        for batch, read in ((1, 0), (_BATCH, 2), (2, chunk - 1), (3, chunk), (2, 2 * chunk + 5)):
            yield question(self.network.network, batch, read, generator)

    def metadata(self) -> dict[str, Any]:
        """Return what a user of the file must know."""
        empty = self.network.network.init_cache(1, device="meta")
        return {
            "tokens": f"int64 (batch,), 0..{self.config.end}; the last stands around each document",
            "kind": self.config.tokens,
            "tokenizer": self.config.tokenizer,
            "end": self.config.end,
            "cache": {name: [str(empty[name].dtype), *empty[name].shape[1:]] for name in self.network.names},
        }


@torch.no_grad()
def question(
    network: LanguageNetwork, batch: int, read: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Return a token for each sample, and the cache after so many others.

    Args:
        network: In evaluation mode.
        batch: Samples.
        read: Tokens before.
        generator: Of the tokens.
    """
    tokens = torch.randint(network.config.vocab_size, (batch, read + 1), generator=generator)
    cache: Cache = network.init_cache(batch)
    if read:
        _, cache = network.prefill(tokens[:, :-1])
    return tokens[:, -1].contiguous(), *(tensor.contiguous() for tensor in cache.values())


def trace_language(
    network: LanguageNetwork,
    *,
    size: tuple[int, int] | None = None,
    in_channels: int | None = None,
    preprocess: bool = False,
) -> TracedStep:
    """Make the graph of a step of a network of text; the network stays as it is.

    Args:
        network: Of text.
        size: None, as the next two: they are for networks on images.
        in_channels: None.
        preprocess: False.

    Raises:
        ValueError: If it cannot be traced, or an option is for networks on images.
    """
    given = {"size": size, "in_channels": in_channels, "preprocess": preprocess or None}
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name}={value} is for networks on images, this one is on text; leave it out.")
    whole: Any = Step(copy.deepcopy(network).cpu().float().eval()).eval()
    if any(bool(tensor.any()) for tensor in whole.network.init_cache(1).values()):
        raise ValueError("the cache of no token is not zero, which a file of its step could not tell.")
    example = question(whole.network, 2, 3, torch.Generator().manual_seed(0))
    empty = whole.network.init_cache(1, device="meta")
    shapes = [
        {axis: Dim.DYNAMIC for axis, free in enumerate(_axes(empty[name])) if free} for name in whole.names
    ]
    mixers = " and ".join(dict.fromkeys(network.config.mixers))
    program = graph_of(
        whole,
        example,
        ({0: Dim.DYNAMIC}, tuple(shapes)),
        f"a step of {type(network).__name__} with the mixers {mixers}",
    )
    return TracedStep(whole, program, network.config)


def _axes(empty: Tensor) -> tuple[str, ...]:
    return "batch", *("" if size else "positions" for size in empty.shape[1:])
