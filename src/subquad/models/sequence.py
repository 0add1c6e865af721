"""Networks on sequences: embedding, blocks that mix positions, a readout (Yu et al., CVPR 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.base.limits import LARGEST_SCALE, LARGEST_WIDTH, LONGEST_SEQUENCE, MOST_BLOCKS, MOST_FACTORS
from subquad.models.config import NetworkConfig
from subquad.models.families import register_family
from subquad.models.fields import check_range
from subquad.models.mixers import Mixer, make_block, mixer_papers
from subquad.models.network import Network
from subquad.nn.lengths import real_positions, resolve_lengths
from subquad.nn.paramixer import Protocol, Residual, Start

Pooling = Literal["flatten", "cls", "mean"]
Rounding = Literal["ceil", "floor"]


@register_family
@dataclass(frozen=True, kw_only=True)
class SequenceConfig(NetworkConfig):
    """Options of `SequenceNetwork`. The defaults of a named network are the published ones of its task.

    Attributes:
        vocab_size: Number of tokens; None for sequences of real values.
        token_names: One a token, or empty: without them, nobody knows what the numbers stand for.
        in_features: Values at each position, where there are no tokens.
        length: Of the sequences it is meant for: decides the number of factors, the positions that
            can be learned, and the size of the head of "flatten".
        regression: Whether the outputs are values rather than the logits of classes.
        dim: Channels.
        hidden: Width of every small MLP.
        depth: Blocks.
        mixer: What mixes the positions: "paramixer", "none" (no mixing: what a task needs it for), or
            a rival in the same place: "transformer", "linformer", "performer", "nystromformer", "reformer".
        heads: Of the rivals.
        protocol: "chord" (offsets 0, 1, 2, 4, ...) or "cdil" (dilated neighbours on both sides).
        links: Non-zero entries in each row of a factor, odd; for "cdil" alone.
        factors: How log2 of the length is rounded to the number of factors, or that number; "floor",
            as some of the published networks have it, leaves positions unreached if the length is no
            power of two.
        residual: What is added after each factor: "running" the value before it, "fixed" the value
            before the first factor, None nothing.
        norm: Layer norm before each block and before the readout, and a residual around each block.
            Of the rivals, which have both in their blocks, before the readout alone.
        start: Which links a block has before training: "random", "identity" (each position to itself)
            or "uniform" (each to all alike); see `subquad.nn.Paramixer`.
        pooling: "flatten" (all positions side by side, up to `length` of them), "cls" (the first
            position), "mean" (over the real positions).
        positions: Whether a learned vector is added at each position.
        dropout: Of the embedded sequence.
        double_dropout: Whether what the first block mixes is dropped out once more, as in the original.
        block_dropout: Of each block's output.
        embedding_range: Token vectors start uniform in plus or minus this; None: normal of variance 1.
        unused_tables: Whether to build the token and position tables that the original built without
            use, so that parameters count as published.
        recompute: Whether factors are computed again in the backward pass rather than kept.
    """

    family: ClassVar[str] = "sequence"

    vocab_size: int | None = None
    token_names: tuple[str, ...] = field(default=(), repr=False)
    in_features: int = 1
    length: int = 1024
    regression: bool = False
    dim: int = 32
    hidden: int = 32
    depth: int = 1
    mixer: Mixer = "paramixer"
    heads: int = 1
    protocol: Protocol = "chord"
    links: int = 9
    factors: Rounding | int = "ceil"
    residual: Residual | None = "running"
    norm: bool = False
    start: Start = "random"
    pooling: Pooling = "flatten"
    positions: bool = False
    dropout: float = 0.0
    double_dropout: bool = False
    block_dropout: float = 0.0
    embedding_range: float | None = None
    unused_tables: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, LARGEST_WIDTH, "vocab_size", "in_features", "dim", "hidden", "heads", "links")
        check_range(self, 1, LONGEST_SEQUENCE, "length")
        check_range(self, 1, MOST_BLOCKS, "depth")
        if isinstance(self.factors, int):
            check_range(self, 1, MOST_FACTORS, "factors")
        check_range(self, 0, LARGEST_SCALE, "embedding_range")
        if self.token_names and len(self.token_names) != self.vocab_size:
            raise ValueError(f"token_names has {len(self.token_names)} entries for {self.vocab_size} tokens.")
        if self.protocol == "cdil" and (self.links < 1 or self.links % 2 == 0):
            raise ValueError(f"links must be an odd number of links for CDIL, got {self.links}.")
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim = {self.dim}, got {self.heads}.")
        if self.regression and self.num_classes != 1:
            raise ValueError(f"a regression has one value, so num_classes must be 1, got {self.num_classes}.")
        self._check_rates("dropout", "block_dropout")

    @property
    def sources(self) -> tuple[str, ...]:
        """The paper that the mixing is of."""
        return mixer_papers(self.mixer)

    def cost_size(self, wanted: int | None = None) -> int:
        """Return a length."""
        return wanted or self.length

    @property
    def skips(self) -> bool:
        """Whether the network adds a residual around each block."""
        return self.norm and self.mixer in ("paramixer", "none")

    @property
    def longest(self) -> int | None:
        """The most positions that it takes; None: any number."""
        return self.length if self.positions or self.pooling == "flatten" else None

    @property
    def mixes_lengths(self) -> bool:
        """Whether sequences of different lengths can share a batch; rivals of other packages cannot."""
        return self.mixer in ("paramixer", "transformer", "none")

    @property
    def factor_count(self) -> int:
        """Sparse factors of a block, at least 1."""
        if isinstance(self.factors, int):
            return self.factors
        log = (self.length - 1).bit_length() if self.factors == "ceil" else int(math.log2(self.length))
        return max(1, log)

    def uncounted_multiply_adds(self, size: int | tuple[int, int]) -> int:
        """Return those of links and values."""
        if self.mixer != "paramixer":
            return 0
        positions = size if isinstance(size, int) else math.prod(size)
        links = self.factor_count + 1 if self.protocol == "chord" else self.links
        return self.depth * self.factor_count * positions * links * self.dim

    def example(self, size: int | tuple[int, int]) -> tuple[Tensor, ...]:
        """Return a sequence of zeros: tokens (1, n), or values (1, n, in_features)."""
        length = size if isinstance(size, int) else math.prod(size)
        if self.vocab_size is None:
            return (torch.zeros(1, length, self.in_features),)
        return (torch.zeros(1, length, dtype=torch.int64),)

    def build(self) -> SequenceNetwork:
        """Build the network, randomly initialised."""
        return SequenceNetwork(self)


class SequenceNetwork(Network):
    """Embedding, blocks that mix positions, a linear readout.

    Every block reads its links off the embedded sequence, and its values off the block before it.

    Args:
        config: Its options.

    Attributes:
        embedding: Tokens to vectors; None for real values, unless `unused_tables`.
        input: Real values to vectors; None for tokens.
        positions: A vector for each position; None without.
        blocks: Each maps (values, context) of (batch, n, dim) to new values.
        norm: Before the readout; None without.
        classifier: The linear readout.
    """

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.config: SequenceConfig = config  # pyright: ignore[reportIncompatibleVariableOverride]
        tokens, dim = config.vocab_size, config.dim
        self.input = None if tokens is not None else nn.Linear(config.in_features, dim)
        has_table = tokens is not None or config.unused_tables
        self.embedding = nn.Embedding(tokens or 1, dim) if has_table else None
        if self.embedding is not None and config.embedding_range is not None:
            nn.init.uniform_(self.embedding.weight, -config.embedding_range, config.embedding_range)
        has_positions = config.positions or config.unused_tables
        self.positions = nn.Embedding(config.length, dim) if has_positions else None
        for table, used in ((self.embedding, tokens is not None), (self.positions, config.positions)):
            if table is not None and not used:
                table.requires_grad_(False)  # several processes wait for every gradient
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(make_block(config) for _ in range(config.depth))
        self.block_dropout = nn.Dropout(config.block_dropout)
        self.norm = nn.LayerNorm(dim) if config.norm else None
        width = dim * config.length if config.pooling == "flatten" else dim
        self.classifier = nn.Linear(width, config.num_classes)

    def forward(self, inputs: Tensor, *, mask: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Map sequences to logits, or to values for a regression.

        Args:
            inputs: Tokens (batch, n), integers in 0..vocab_size - 1, or values (batch, n, in_features).
                Padding may hold anything.
            mask: (batch, n), True at the real positions, which come first.
            lengths: (batch,), the number of real positions of each sample, at least 1; instead of
                `mask`. Without either, all are real. A sample gives what it gives alone.

        Returns:
            (batch, num_classes).

        Raises:
            ValueError: If the shape or type does not fit, the sequence is longer than its positions
                were learned for, or (on the CPU) a number is that of no token.
        """
        self._check(inputs)
        lengths = resolve_lengths(mask, lengths, *inputs.shape[:2])
        if lengths is not None and not torch.compiler.is_compiling() and int(lengths.min()) < 1:
            raise ValueError(f"every sequence must have a real position, got lengths {lengths.tolist()}.")
        context = self.dropout(self._embedded(inputs, lengths))
        values = self.dropout(context) if self.config.double_dropout else context
        for block in self.blocks:
            mixed = self.block_dropout(block(values, context, lengths=lengths))
            values = values + mixed if self.config.skips else mixed
        if self.norm is not None:
            values = self.norm(values)
        return self.classifier(self._pooled(values, lengths))

    def _embedded(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is not None:  # padding may hold anything, NaN and numbers of no token too
            real = real_positions(lengths, inputs)
            inputs = inputs.where(real if inputs.dim() == 3 else real.squeeze(-1), 0)
        if self.input is None:
            assert self.embedding is not None
            _check_tokens(inputs, self.embedding.num_embeddings)
            x = self.embedding(inputs.long())
        else:
            x = self.input(inputs.to(self.input.weight.dtype))
        if self.config.positions:
            assert self.positions is not None
            x = x + self.positions.weight[: x.shape[1]]
        return x

    def _pooled(self, values: Tensor, lengths: Tensor | None) -> Tensor:
        if self.config.pooling == "cls":
            return values[:, 0]
        if lengths is not None:
            values = values.where(real_positions(lengths, values), 0)
        if self.config.pooling == "mean":
            if lengths is None:
                return values.mean(dim=1)
            # Sums of half precision overflow, and it cannot hold the lengths.
            total = values.to(torch.promote_types(values.dtype, torch.float32)).sum(dim=1)
            return (total / lengths.to(values.device).clamp_min(1).unsqueeze(1)).to(values.dtype)
        missing = self.config.length - values.shape[1]
        return F.pad(values, (0, 0, 0, missing)).flatten(1)

    def _check(self, inputs: Tensor) -> None:
        config = self.config
        real = config.vocab_size is None
        expected = f"(batch, n, {config.in_features}) values" if real else "(batch, n) integer tokens"
        fits = inputs.dim() == 3 and inputs.shape[2] == config.in_features if real else inputs.dim() == 2
        is_wrong = inputs.is_floating_point() != real or inputs.dtype == torch.bool
        if not fits or is_wrong or inputs.shape[1] < 1:
            raise ValueError(f"expected {expected}, got {tuple(inputs.shape)} of {inputs.dtype}.")
        # In this order: the tracer of an export would take the length for a bound.
        if config.longest is not None and inputs.shape[1] > config.longest:
            what = "positions are learned" if config.positions else "its readout is built"
            raise ValueError(
                f"a sequence of {inputs.shape[1]} is longer than the {config.longest} that {what} for; "
                f"build the network with length={inputs.shape[1]}, or cut the sequence."
            )


def _check_tokens(inputs: Tensor, vocab_size: int) -> None:
    """Raise ValueError if a number is that of no token, where looking does not make a device wait."""
    if torch.compiler.is_compiling() or inputs.device.type != "cpu" or not inputs.numel():
        return
    smallest, largest = (int(bound) for bound in inputs.aminmax())
    if smallest < 0 or largest >= vocab_size:
        wrong = smallest if smallest < 0 else largest
        raise ValueError(
            f"the inputs hold {wrong}, but the network knows tokens 0 to {vocab_size - 1}; number them as in "
            f"training, or build the network with a larger vocab_size."
        )
