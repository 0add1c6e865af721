"""The options of a network on sequences (Yu et al., CVPR 2022; Khalitov et al., ICLR 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from subquad.base.limits import LARGEST_SCALE, LARGEST_WIDTH, LONGEST_SEQUENCE, MOST_BLOCKS, MOST_FACTORS
from subquad.models.config import NetworkConfig, Usage
from subquad.models.fields import check_range, shown
from subquad.models.sequence.mixer_registry import OURS, registered_mixer
from subquad.nn.paramixer import LinkProtocol, Residual, StartLinks

Pooling = Literal["flatten", "cls", "mean"]
Rounding = Literal["ceil", "floor"]


@dataclass(frozen=True, kw_only=True)
class SequenceConfig(NetworkConfig):
    """Options of `SequenceNetwork`. The defaults of a named network are the published ones of its task.

    Attributes:
        vocab_size: Number of tokens; None for sequences of real values.
        token_names: One a token, or empty: without them, nobody knows what the numbers stand for.
        in_features: Values at each position, where there are no tokens.
        mean: Subtracted from the values, one for each of `in_features`; None: nothing is.
        std: By which they are divided after that, above 0; None: by nothing. `subquad fit` takes both
            from the sequences of training.
        target_mean: Of a regression: what the network gives is in units of `target_std` around this.
        target_std: Of a regression, above 0.
        length: Of the sequences it is meant for: decides the number of factors, the positions that
            can be learned, and the size of the head of "flatten".
        regression: Whether the outputs are values rather than the logits of classes.
        dim: Channels.
        hidden: Width of every small MLP.
        depth: Blocks.
        context: What mixes the positions: "paramixer", "none" (no mixing: what a task needs it for),
            "transformer", "chordmixer" (rotations, with `factors` MLPs to a block), or what
            `register_mixer` made known.
        heads: Of the rivals of Paramixer.
        protocol: "chord" (offsets 0, 1, 2, 4, ...) or "cdil" (dilated neighbours on both sides).
        links: Non-zero entries in each row of a factor, odd; for "cdil" alone.
        factors: How log2 of the length is rounded to the number of factors, or that number; "floor",
            as some of the published networks have it, leaves positions unreached if the length is no
            power of two.
        residual: What is added after each factor: "running" the value before it, "fixed" the value
            before the first factor, None nothing.
        norm: Layer norm before each block and before the readout, and a residual around each block.
            Of the rivals, which have both in their blocks, before the readout alone; of "chordmixer", which
            has residuals, before each MLP and the readout.
        start: Which links a block has before training: "random", "identity" (each position to itself)
            or "uniform" (each to all alike); see `subquad.nn.Paramixer`.
        pooling: "flatten" (all positions side by side, up to `length` of them), "cls" (the first
            position), "mean" (over the real positions).
        positions: Whether a learned vector is added at each position.
        dropout: Of the embedded sequence.
        double_dropout: Whether what the first block mixes is dropped out once more, as in the original.
        block_dropout: Of each block's output; of "chordmixer" after each linear map of the MLPs.
        embedding_range: Token vectors start uniform in plus or minus this; None: normal of variance 1.
        unused_tables: Whether to build the token and position tables that the original built without
            use, so that parameters count as published.
        recompute: Whether factors are computed again in the backward pass rather than kept.
    """

    family: ClassVar[str] = "sequence"
    task: ClassVar[str] = "sequences"
    tracer: ClassVar[str | None] = "subquad.tasks.sequences.trace:trace_sequences"

    vocab_size: int | None = None
    token_names: tuple[str, ...] = field(default=(), repr=False)
    in_features: int = 1
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    target_mean: float = 0.0
    target_std: float = 1.0
    length: int = 1024
    regression: bool = False
    dim: int = 32
    hidden: int = 32
    depth: int = 1
    context: str = "paramixer"
    heads: int = 1
    protocol: LinkProtocol = "chord"
    links: int = 9
    factors: Rounding | int = "ceil"
    residual: Residual | None = "running"
    norm: bool = False
    start: StartLinks = "random"
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
        if self.context not in OURS:
            registered_mixer(self.context)
        if self.token_names and len(self.token_names) != self.vocab_size:
            raise ValueError(f"token_names has {len(self.token_names)} entries for {self.vocab_size} tokens.")
        if self.protocol == "cdil" and (self.links < 1 or self.links % 2 == 0):
            raise ValueError(f"links must be an odd number of links for CDIL, got {self.links}.")
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim = {self.dim}, got {self.heads}.")
        if self.regression and self.num_classes != 1:
            raise ValueError(f"a regression has one value, so num_classes must be 1, got {self.num_classes}.")
        self._check_rates("dropout", "block_dropout")
        self._check_units()

    def _check_units(self) -> None:
        for name in ("mean", "std"):
            value = getattr(self, name)
            if value is not None and len(value) != self.in_features:
                raise ValueError(
                    f"{name} needs one value for each of {self.in_features} features, got {shown(value)}."
                )
        if (self.mean is None) != (self.std is None):
            raise ValueError(f"mean and std go together, got {shown(self.mean)} and {shown(self.std)}.")
        for name, deviations in {"std": self.std or (), "target_std": (self.target_std,)}.items():
            if not all(deviation > 0 for deviation in deviations):
                raise ValueError(f"{name} must be above 0, got {shown(getattr(self, name))}.")

    @property
    def sources(self) -> tuple[str, ...]:
        """The paper that the mixing is of; "none" is of no paper."""
        paper = OURS[self.context] if self.context in OURS else registered_mixer(self.context).paper
        return (paper,) if paper else ()

    def usage(self) -> Usage:
        """Return how it is used, for the model card."""
        if self.vocab_size is None:
            sample, shape = f"torch.randn(1, {self.length}, {self.in_features})", "(batch, n, features)"
        else:
            sample, shape = f"torch.randint({self.vocab_size}, (1, {self.length}))", "(batch, n)"
        return Usage(
            "regression from sequences" if self.regression else "classification of sequences",
            "tabular-regression" if self.regression else "text-classification",
            f"sequences = {sample}  # {shape}\noutputs = network(sequences)\n",
            (
                f"Sequences are {shape}; of different lengths in one batch, they are padded on the right and "
                f"`lengths=` says how long each is. The outputs are (batch, {self.num_classes}).",
            ),
        )

    def replaced(self, **overrides: Any) -> Self:
        """Return the configuration with some options replaced; another vocabulary has other names."""
        if "vocab_size" in overrides:
            overrides.setdefault("token_names", ())
        return super().replaced(**overrides)

    def cost_size(self, wanted: int | None = None) -> int:
        """Return a length."""
        return wanted or self.length

    @property
    def skips(self) -> bool:
        """Whether the network adds a residual around each block."""
        return self.norm and self.context in ("paramixer", "none")

    @property
    def drops_blocks(self) -> bool:
        """Whether the network drops out what a block gives; "chordmixer" does inside."""
        return self.context != "chordmixer"

    @property
    def longest(self) -> int | None:
        """The most positions that it takes; None: any number."""
        return self.length if self.positions or self.pooling == "flatten" else None

    @property
    def mixes_lengths(self) -> bool:
        """Whether sequences of different lengths can share a batch."""
        return self.context in OURS or registered_mixer(self.context).mixes_lengths

    @property
    def factor_count(self) -> int:
        """Sparse factors of a block, or its rotations, at least 1."""
        if isinstance(self.factors, int):
            return self.factors
        log = (self.length - 1).bit_length() if self.factors == "ceil" else int(math.log2(self.length))
        return max(1, log)

    def uncounted_multiply_adds(self, size: int | tuple[int, int]) -> int:
        """Return those of links and values."""
        if self.context != "paramixer":
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
