"""What a text costs a network that tells it, from sums that add up over batches and processes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.engine.scores import Table
from subquad.engine.tables import percent
from subquad.nn.distributed import sum_over_processes

POWERS = 40  # of two: more tokens than fit into a window
LOSSY = (
    "The tokenizer does not give this text back: what it does not know or takes for something else is lost. "
    "So bits per byte tell too little, and compare with those of no other tokenizer."
)
LARGEST_EXPONENT = 700.0  # of a float


@dataclass(frozen=True)
class PositionScore:
    """The loss of tokens that were told from about as many tokens before them.

    Attributes:
        first: The fewest tokens before, a power of two.
        last: The most: one less than the next power of two, or as many as there were.
        tokens: How many were told from so many.
        loss: Their mean cross-entropy, in nats.
    """

    first: int
    last: int
    tokens: int
    loss: float


@dataclass(frozen=True)
class LanguageScores:
    """What an evaluation found.

    Attributes:
        tokens: That were told, the ends of documents among them.
        bytes: Of text that these stand for.
        bits_per_byte: What the text costs, the ends of its documents included.
        loss: Mean cross-entropy of a token, in nats.
        perplexity: Its exponential; None where that is no number any more.
        accuracy: Share of tokens that were the most probable.
        lossless: Whether the tokens give the text back; if not, bits per byte compare with no others.
        by_position: The loss by how much was seen before: what the distant past is worth.
    """

    tokens: int
    bytes: float
    bits_per_byte: float
    loss: float
    perplexity: float | None
    accuracy: float
    lossless: bool
    by_position: tuple[PositionScore, ...]

    def tables(self) -> list[Table]:
        """Return the scores, and the loss by position."""
        rows = [
            ("bits per byte", f"{self.bits_per_byte:.4f}"),
            ("perplexity of a token", "n/a" if self.perplexity is None else f"{self.perplexity:.4g}"),
            ("accuracy", f"{percent(self.accuracy)} %"),
            ("loss", f"{self.loss:.5f}"),
        ]
        by_position = [
            (f"{p.first:,}" if p.first == p.last else f"{p.first:,} to {p.last:,}",
             f"{p.loss / math.log(2):.4f}", f"{p.tokens:,}")
            for p in self.by_position
        ]  # fmt: skip
        return [
            Table(f"{self.tokens:,} tokens of {self.bytes:,.0f} bytes", ("score", "value"), rows),
            *([] if self.lossless else [Table(LOSSY)]),
            Table("what the past is worth", ("tokens before", "bits per token", "tokens"), by_position),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return dataclasses.asdict(self)


class LanguageSums:
    """Sums over any number of batches, in float64.

    Args:
        bytes_per_token: Of the text that is told.
        lossless: Whether its tokens give it back.
    """

    def __init__(self, bytes_per_token: float, lossless: bool = True) -> None:
        self.bytes_per_token, self.lossless = bytes_per_token, lossless
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        # Of each power of two of tokens before: tokens, their loss, those that were right.
        self.sums = torch.zeros(3, POWERS, dtype=torch.float64)
        self.context = 0

    def update(self, logits: Tensor, targets: Tensor, before: Tensor, context: int) -> Tensor:
        """Add tokens; returns the loss of each.

        Args:
            logits: (tokens, vocab_size).
            targets: (tokens,).
            before: How many tokens each was told from, (tokens,), 1 at least.
            context: How many it can be at most.
        """
        loss = F.cross_entropy(logits.float(), targets, reduction="none")
        power = torch.frexp(before.double()).exponent.long() - 1
        told = torch.stack([torch.ones_like(loss), loss, (logits.argmax(1) == targets).to(loss)]).double()
        sums = torch.zeros(3, POWERS, dtype=torch.float64, device=loss.device)
        self.sums += sums.index_add_(1, power, told).cpu()
        self.context = context
        return loss

    def sum_over_processes(self, device: torch.device) -> None:
        """Add up what all processes counted."""
        sums = self.sums.to(device)
        sum_over_processes(sums)
        self.sums = sums.cpu()

    def scores(self) -> LanguageScores:
        """Return what was found; at least one token was counted."""
        count, loss, right = (float(total) for total in self.sums.sum(dim=1))
        mean, size = loss / count, count * self.bytes_per_token
        by_position = tuple(
            PositionScore(2**power, min(2 ** (power + 1) - 1, self.context), int(tokens), total / tokens)
            for power, (tokens, total, _) in enumerate(self.sums.T.tolist())
            if tokens
        )
        return LanguageScores(
            tokens=int(count),
            bytes=size,
            bits_per_byte=loss / math.log(2) / size,
            loss=mean,
            perplexity=math.exp(mean) if mean < LARGEST_EXPONENT else None,
            accuracy=right / count,
            lossless=self.lossless,
            by_position=by_position,
        )
