"""What the distant past is worth: passages of IMDB's reviews that come again, and once more.

    SUBQUAD_DATA=... python experiments/language/repeats.py --designs attention convolution ridge

A window of 256 bytes: a passage of 64, other text of 16 to 48 (any number), the passage again, other text of
16 to 48, the passage a third time, as much of it as fits. Who remembers the passage needs next to no bits for
its second half when it comes again; who models near-by characters alone needs as many as the first time. The
distances are others in each window, so that no fixed offset tells.
"""

from __future__ import annotations

import math

import text
import torch
import training
from torch import nn
from torch.nn import functional as F

PASSAGE, LEAST, MOST, COPIES, CONTEXT = 64, 16, 48, 3, 256


def repeated(split: str, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return windows (count, CONTEXT + 1), and where the second half of a passage comes again, a mask."""
    other, passages = text.windows(split, 2 * count, CONTEXT + 1, generator).view(2, count, -1)
    between = torch.randint(LEAST, MOST + 1, (count, COPIES - 1), generator=generator)
    starts = F.pad((between + PASSAGE).cumsum(1), (1, 0))  # of each copy
    along = torch.arange(CONTEXT + 1) - starts.unsqueeze(2)  # (count, copies, n): how far into each
    inside = (along >= 0) & (along < PASSAGE)
    copied = passages.gather(1, (along * inside).sum(1))
    again = (inside & (along >= PASSAGE // 2))[:, 1:].any(1)
    return torch.where(inside.any(1), copied, other), again


def main() -> None:
    """Train each design with each seed."""
    parser = training.parser(__doc__, "repeats", "search_characters", steps=1000, dim=128, batch=8)
    options = parser.parse_args()
    sizes = {"dim": options.dim, "depth": options.depth, "heads": options.heads, "context": CONTEXT}
    windows, counted = repeated("test", 256, torch.Generator().manual_seed(1))

    def bits(network: nn.Module) -> dict[str, float]:
        first, again = 0.0, 0.0
        early = torch.zeros_like(counted)
        early[:, PASSAGE // 2 : PASSAGE] = True
        for part, mask, before in zip(windows.split(16), counted.split(16), early.split(16), strict=True):
            losses = F.cross_entropy(
                network(part[:, :-1]).float().transpose(1, 2), part[:, 1:], reduction="none"
            )
            again += float(losses[mask[:, 1:]].sum())
            first += float(losses[before[:, 1:]].sum())
        nats = math.log(2)
        return {
            "bits_first": first / nats / int(early[:, 1:].sum()),
            "bits_again": again / nats / int(counted[:, 1:].sum()),
        }

    def batch(draw: torch.Generator) -> training.Batch:
        tokens, _ = repeated("train", options.batch, draw)
        return tokens[:, :-1], tokens[:, 1:]

    report = sorted({options.steps // 4, options.steps // 2, options.steps})
    training.compare(options, sizes, batch, bits, report)


if __name__ == "__main__":
    main()
