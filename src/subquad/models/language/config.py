"""The options of a network that says how a text goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from subquad.base.limits import LARGEST_TOKENIZER, LARGEST_WIDTH, LONGEST_SEQUENCE, MOST_BLOCKS, MOST_REACH
from subquad.base.suggest import did_you_mean
from subquad.models.config import NetworkConfig, Usage
from subquad.models.fields import check_range, shown
from subquad.models.language.mixers import MIXERS
from subquad.nn.causal_ham import MemoryKeys
from subquad.nn.causal_heads import QueryStart
from subquad.nn.causal_link_mixer import GateStart
from subquad.nn.paramixer import number_of_factors
from subquad.ops.memory import MemoryGradient

BYTES = 257  # tokens: the bytes, and the end of a document
PATTERN = ("ham", "paramixer")  # of the named networks: the other way round they learn recall late, or not

# What networks of text were before there was a choice: files and runs of then do not say it.
BEFORE_PHASES: dict[str, Any] = {"memory_keys": "unit", "query_start": "random"}

_HEADS = {
    "heads": {"ham", "delta", "linear", "attention"},
    "paramixer_heads": {"paramixer", "convolution"},
}
PAPERS = {
    "paramixer": "Yu et al., CVPR 2022",
    "ham": "Geng et al., ICLR 2021",
    "delta": "Yang et al., ICLR 2025",
    "linear": "Yang et al., ICML 2024",
    "attention": "Vaswani et al., NeurIPS 2017",
}


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(NetworkConfig):
    """Options of `LanguageNetwork`.

    Attributes:
        num_classes: As many as `vocab_size`; it follows.
        vocab_size: Number of tokens; the last of them ends a document, and stands before the first.
        tokens: What the others are: "bytes", those of `tokenizer`, or "numbers" that mean no text.
        tokenizer: The `tokenizers` JSON of a tokenizer with one token less than `vocab_size`, so that the
            network can be used alone; "" of other tokens.
        dim: Channels.
        depth: Layers: a mixer, then an MLP, each after a norm and added to what it was given.
        pattern: The mixers of the first layers, repeated over the depth: "paramixer", "ham" (ridge), "delta"
            and "linear" (its other memories), "attention", "convolution".
        heads: Of "ham", "delta", "linear" and "attention"; they divide `dim`.
        paramixer_heads: Groups of channels of "paramixer" and "convolution" that share links; they divide
            `dim`.
        context: Positions of training, which decide the number of factors; it takes any number.
        factors: Of "paramixer" and "convolution", which reach 2^factors positions; None: as many as the
            context needs.
        mlp_ratio: Width of the MLP, in multiples of `dim`.
        tied: Whether the readout is the table of token vectors; a table of its own learns bytes much faster.
        start: Links of "paramixer" and "convolution" before training, "graded" or "uniform", for the second
            also "identity"; see `subquad.nn.CausalParamixer`.
        chunk: Positions between two inverses of "ham".
        conv: Positions that the short convolution of each mixer sees.
        gate: Whether the outputs of "ham", "delta", "linear" and "attention" are gated.
        grad: Gradient of "ham": "one_step" or "full"; see `subquad.nn.CausalHam`.
        memory_keys: Keys of "ham", "delta" and "linear", "phase" or "unit"; see `subquad.nn.CausalHam`.
        query_start: Queries and keys before training, "induction" or "random"; None: the first for memories,
            the second for "attention", which learns to find what came before by itself.
        dropout: Of token vectors and of what each mixer and MLP adds.
    """

    family: ClassVar[str] = "ham_lm"
    task: ClassVar[str] = "language"
    tracer: ClassVar[str | None] = "subquad.tasks.language.trace:trace_language"

    num_classes: int = 0
    vocab_size: int = BYTES
    tokens: Literal["bytes", "tokenizer", "numbers"] = "bytes"
    tokenizer: str = field(default="", repr=False)
    dim: int = 128
    depth: int = 2
    pattern: tuple[str, ...] = PATTERN
    heads: int = 4
    paramixer_heads: int = 16
    context: int = 256
    factors: int | None = None
    mlp_ratio: float = 4.0
    tied: bool = False
    start: GateStart = "graded"
    chunk: int = 64
    conv: int = 4
    gate: bool = True
    grad: MemoryGradient = "one_step"
    memory_keys: MemoryKeys = "phase"
    query_start: QueryStart | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_classes", self.num_classes or self.vocab_size)
        super().__post_init__()
        check_range(self, 2, LARGEST_WIDTH, "vocab_size")
        check_range(self, 1, LARGEST_WIDTH, "dim", "heads", "paramixer_heads", "chunk", "conv")
        check_range(self, 1, MOST_BLOCKS, "depth")
        check_range(self, 1, LONGEST_SEQUENCE, "context")
        check_range(self, 1, MOST_REACH, "factors")
        if not 0 < self.mlp_ratio <= LARGEST_WIDTH / self.dim:
            raise ValueError(f"mlp_ratio must be above 0 and give a usual width, got {self.mlp_ratio}.")
        if self.num_classes != self.vocab_size:
            raise ValueError(
                f"num_classes is the number of tokens, {self.vocab_size}, got {self.num_classes}; leave it "
                "out."
            )
        self._check_rates("dropout")
        self._check_pattern()
        self._check_tokens()

    def _check_pattern(self) -> None:
        if not self.pattern:
            raise ValueError(f"pattern must name a mixer at least, such as {', '.join(PATTERN)}.")
        for name in self.pattern:
            if name not in MIXERS:
                raise ValueError(
                    f"pattern names {shown(name)}, which is no mixer.{did_you_mean(name, MIXERS)} There are "
                    f"{', '.join(MIXERS)}."
                )
        for name, users in _HEADS.items():
            if self.dim % getattr(self, name) and not users.isdisjoint(self.pattern):
                raise ValueError(
                    f"{name} must divide dim = {self.dim}, got {getattr(self, name)}; take a divisor of it."
                )

    def _check_tokens(self) -> None:
        if self.tokens == "bytes" and self.vocab_size != BYTES:
            raise ValueError(
                f"bytes and the end of a document are {BYTES} tokens, got vocab_size={self.vocab_size}; give "
                'tokens="numbers", or a tokenizer.'
            )
        if (self.tokens == "tokenizer") != bool(self.tokenizer):
            raise ValueError(
                f'tokens="tokenizer" and a tokenizer go together, got tokens={self.tokens!r} and '
                f"{shown(self.tokenizer)}."
            )
        if len(self.tokenizer) > LARGEST_TOKENIZER:
            raise ValueError(
                f"the tokenizer has {len(self.tokenizer):,} characters, and {LARGEST_TOKENIZER:,} are the "
                "most."
            )

    @property
    def end(self) -> int:
        """The token that ends a document, and stands before the first."""
        return self.vocab_size - 1

    @property
    def factor_count(self) -> int:
        """Factors of "paramixer" and "convolution"."""
        return number_of_factors(self.factors, None if self.factors else self.context)

    @property
    def mixers(self) -> tuple[str, ...]:
        """The mixer of each layer."""
        return tuple(self.pattern[layer % len(self.pattern)] for layer in range(self.depth))

    @property
    def hidden(self) -> int:
        """Width of the MLPs."""
        return max(1, round(self.mlp_ratio * self.dim))

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the mixers are of; the convolution is of none."""
        return tuple(dict.fromkeys(PAPERS[name] for name in self.mixers if name in PAPERS))

    def usage(self) -> Usage:
        """Return how it is used, for the model card."""
        return Usage(
            "the next token of a text",
            "text-generation",
            f"tokens = torch.randint({self.vocab_size}, (1, 64))  # (batch, n), any n\n"
            "logits = network(tokens)  # (batch, n, tokens): of each next one\n"
            "logits, cache = network.step(tokens[:, 0], network.init_cache(1))  # or one by one\n",
            (
                "The tokens are "
                + {
                    "bytes": f"bytes, and {self.end} before and after each document.",
                    "tokenizer": f"those of `network.config.tokenizer`, and {self.end} before and after each "
                    "document.",
                    "numbers": "numbers that mean no text.",
                }[self.tokens],
            ),
            outputs="tokens",
        )

    def replaced(self, **overrides: Any) -> Self:
        """Return the configuration with some options replaced; another vocabulary is of other tokens."""
        if "vocab_size" in overrides:
            is_bytes = overrides["vocab_size"] == BYTES and self.tokens == "bytes"
            overrides = {"tokens": "bytes" if is_bytes else "numbers", "tokenizer": "", **overrides}
            overrides.setdefault("num_classes", overrides["vocab_size"])
        return super().replaced(**overrides)

    def cost_size(self, wanted: int | None = None) -> int:
        """Return a number of positions."""
        return wanted or self.context

    def uncounted_multiply_adds(self, size: int | tuple[int, int]) -> int:
        """Return those of links and values: two links a factor."""
        positions = size if isinstance(size, int) else math.prod(size)
        linked = sum(name in ("paramixer", "convolution") for name in self.mixers)
        return linked * self.factor_count * 2 * positions * self.dim

    def example(self, size: int | tuple[int, int]) -> tuple[Tensor, ...]:
        """Return a text of zeros (1, n)."""
        length = size if isinstance(size, int) else math.prod(size)
        return (torch.zeros(1, length, dtype=torch.int64),)
