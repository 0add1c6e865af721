"""Networks that say how a text goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.language.config import LanguageConfig
from subquad.models.language.mixers import MIXERS
from subquad.models.network import Network
from subquad.models.registry import register
from subquad.models.tokens import check_tokens
from subquad.nn.causal import Cache
from subquad.nn.lengths import real_positions, resolve_lengths
from subquad.nn.reset import start_with
from subquad.ops.transforms import is_known

EPS = 1e-6  # of the norms


class LanguageLayer(nn.Module):
    """x + mixer(norm(x)), then x + MLP(norm(x)).

    Args:
        config: Of the network.
        mixer: Its name.

    Attributes:
        mixer: A `subquad.nn.causal.CausalMixer`.
    """

    def __init__(self, config: LanguageConfig, mixer: str) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.dim, eps=EPS)
        self.mixer = MIXERS[mixer](config)
        self.mlp_norm = nn.RMSNorm(config.dim, eps=EPS)
        narrow = nn.Linear(config.hidden, config.dim)
        # Two branches a layer add to x: so that it does not grow with the depth, each adds less.
        start_with(narrow, partial(_scale, by=(2 * config.depth) ** -0.5))
        self.mlp = nn.Sequential(nn.Linear(config.dim, config.hidden), nn.GELU(), narrow)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        cache: Cache | None,
        keep: bool,
        lengths: Tensor | None,
        segment_ids: Tensor | None,
    ) -> tuple[Tensor, Cache]:
        """Map (batch, n, dim) to the same; the cache is empty unless it is to be kept."""
        mixed = self.mixer(self.norm(x), cache, keep, lengths=lengths, segment_ids=segment_ids)
        mixed, after = mixed if keep else (mixed, {})
        return self._rest(x, mixed), after

    def step(self, x_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Map one position, (batch, dim), and the cache before it to the same after it."""
        mixed, cache = self.mixer.step(self.norm(x_t), cache)
        return self._rest(x_t, mixed), cache

    def _rest(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.dropout(mixed)
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


@register(LanguageConfig)
class LanguageNetwork(Network):
    """Token vectors, layers of causal mixers and MLPs, a norm, the logits of each next token.

    A text is read all at once, one token at a time, or in parts, whatever they are: the logits are the
    same. What was read is in a cache: tensors by name, the samples first in each, "layers.0..." of the
    first layer's mixer.

    Args:
        config: Its options.

    Attributes:
        embedding: Tokens to vectors.
        layers: Each maps (batch, n, dim) to the same.
        norm: Before the readout.
        readout: To logits; None where that is the table of `embedding`.
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config: LanguageConfig = config  # pyright: ignore[reportIncompatibleVariableOverride]
        self.embedding = nn.Embedding(config.vocab_size, config.dim)
        # Scaled up by sqrt(dim), vectors of length 1 have entries of about 1, as what the mixers add: smaller
        # ones drown in that, and recall is learned much later.
        start_with(self.embedding, _unit_length)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(LanguageLayer(config, name) for name in config.mixers)
        self.norm = nn.RMSNorm(config.dim, eps=EPS)
        self.readout = None if config.tied else nn.Linear(config.dim, config.vocab_size, bias=False)
        # Of vectors of that length too: a readout of small ones leaves little gradient to what is before it.
        if self.readout is not None:
            start_with(self.readout, _unit_length)

    def forward(
        self,
        tokens: Tensor,
        cache: Cache | None = None,
        return_cache: bool = False,
        *,
        lengths: Tensor | None = None,
        segment_ids: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Cache]:
        """Map tokens to the logits of each next one.

        Args:
            tokens: (batch, n) integers in 0..vocab_size - 1, any n from 1.
            cache: Of what was read before, which is used up; None: nothing was.
            return_cache: Also return the cache after the last position; of each sample after its own last
                one where lengths differ.
            lengths: How many tokens of each sample count, (batch,) integers; the padding behind may hold
                anything, and its logits mean nothing.
            segment_ids: (batch, n) integers: which document each token is of, where several are packed into
                a row. Each is read as if it were alone; not with a cache or lengths.

        Returns:
            (batch, n, vocab_size); with `return_cache` also the cache.

        Raises:
            ValueError: If shapes or types do not fit, or (on the CPU) a number is that of no token.
        """
        x, after = self._read(tokens, cache, return_cache, lengths, segment_ids)
        logits = self._logits(x)
        return (logits, after) if return_cache else logits

    def prefill(
        self, tokens: Tensor, cache: Cache | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, Cache]:
        """Read tokens, and say only what comes after the last one of each sample.

        Args:
            tokens: As above, also the next two.
            cache: Of what was read before.
            lengths: How many count, 1 at least.

        Returns:
            Logits (batch, vocab_size), and the cache.

        Raises:
            ValueError: As `forward`, or (on the CPU) if no token of a sample counts.
        """
        if lengths is not None and is_known(lengths) and lengths.is_cpu and bool((lengths < 1).any()):
            raise ValueError(f"each sample needs a token, got lengths {lengths.tolist()}; leave it out.")
        x, after = self._read(tokens, cache, True, lengths, None)
        if lengths is None:
            last = x[:, -1]
        else:
            index = (lengths.to(x.device) - 1).view(-1, 1, 1).expand(-1, 1, x.shape[2])
            last = x.gather(1, index).squeeze(1)
        return self._logits(last), after

    def init_cache(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Cache:
        """Return the cache of no token.

        Args:
            batch: Samples.
            device: None: that of the parameters.
            dtype: Of what is mixed; None: that of the parameters.
        """
        return _joined([layer.mixer.init_cache(batch, device, dtype) for layer in self._layers()])

    def step(self, tokens_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Read one more token.

        Args:
            tokens_t: (batch,) integers.
            cache: Of what was read before; it is used up.

        Returns:
            The logits of the next one, (batch, vocab_size), and the cache.

        Raises:
            ValueError: As `forward`.
        """
        if tokens_t.dim() != 1:
            raise ValueError(f"expected a token for each sample, (batch,), got {tuple(tokens_t.shape)}.")
        x = self._embedded(tokens_t)
        after = []
        for number, layer in enumerate(self._layers()):
            x, kept = layer.step(x, _of_layer(cache, number))
            after.append(kept)
        return self._logits(x), _joined(after)

    def _read(
        self,
        tokens: Tensor,
        cache: Cache | None,
        keep: bool,
        lengths: Tensor | None,
        segment_ids: Tensor | None,
    ) -> tuple[Tensor, Cache]:
        if tokens.dim() != 2 or 0 in tokens.shape:
            raise ValueError(f"expected tokens (batch, n) with n from 1 on, got {tuple(tokens.shape)}.")
        lengths = resolve_lengths(None, lengths, *tokens.shape)
        if lengths is not None:  # padding may hold numbers of no token
            tokens = tokens.where(real_positions(lengths, tokens).squeeze(-1), 0)
        x = self._embedded(tokens)
        after = []
        for number, layer in enumerate(self.layers):
            before = None if cache is None else _of_layer(cache, number)
            x, kept = layer(x, before, keep, lengths, segment_ids)
            after.append(kept)
        return x, _joined(after)

    def _layers(self) -> Iterator[LanguageLayer]:
        for layer in self.layers:
            assert isinstance(layer, LanguageLayer)
            yield layer

    def _embedded(self, tokens: Tensor) -> Tensor:
        if tokens.is_floating_point():
            raise ValueError(f"tokens are integers, got {tokens.dtype}.")
        check_tokens(tokens, self.config.vocab_size)
        return self.dropout(self.embedding(tokens) * math.sqrt(self.config.dim))

    def _logits(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if self.readout is None:  # scaled down, or each token would be taken for the next one at first
            return F.linear(x * self.config.dim**-0.5, self.embedding.weight)
        return self.readout(x)


def _of_layer(cache: Cache, number: int) -> Cache:
    prefix = f"layers.{number}."
    return {name.removeprefix(prefix): tensor for name, tensor in cache.items() if name.startswith(prefix)}


def _joined(caches: list[Cache]) -> Cache:
    return {
        f"layers.{number}.{name}": tensor for number, of in enumerate(caches) for name, tensor in of.items()
    }


def _unit_length(table: nn.Embedding | nn.Linear) -> None:
    nn.init.normal_(table.weight, std=table.weight.shape[1] ** -0.5)


def _scale(layer: nn.Linear, by: float) -> None:
    with torch.no_grad():
        layer.weight.mul_(by)
        layer.bias.mul_(by)
