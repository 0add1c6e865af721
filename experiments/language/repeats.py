"""What the distant past is worth: passages of IMDB's reviews that come a second time.

    SUBQUAD_DATA=... python experiments/language/repeats.py --designs attention convolution ridge

A window of 256 bytes: a passage of 64, other text of 64 to 128 (any number), the passage again, other text.
Who remembers the passage needs next to no bits for its second half when it comes again; who models near-by
characters alone needs as many as the first time. The distance is different in each window, so that no fixed
offset tells. Chosen before any design was trained on it.
"""

from __future__ import annotations

import math

import text
import torch
import training
from torch import nn
from torch.nn import functional as F

PASSAGE, LEAST, MOST, CONTEXT = 64, 64, 128, 256


def repeated(split: str, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return windows (count, CONTEXT + 1), and where the second half of each passage comes again, a mask."""
    parts = text.windows(split, 3 * count, CONTEXT + 1, generator).view(count, 3, -1)
    between = torch.randint(LEAST, MOST + 1, (count, 1), generator=generator)
    place = torch.arange(CONTEXT + 1).expand(count, -1)
    again = place - PASSAGE - between  # where in the passage, the second time
    second = (again >= 0) & (again < PASSAGE)
    passage = parts[:, 0].gather(1, again.clamp(0, PASSAGE - 1))
    window = torch.where(place < PASSAGE, parts[:, 0], parts[:, 1])
    window = torch.where(again >= PASSAGE, parts[:, 2], torch.where(second, passage, window))
    return window, second & (again >= PASSAGE // 2)


def main() -> None:
    """Train each design with each seed."""
    parser = training.parser(__doc__, "repeats", "search_characters", steps=2000, dim=128, batch=8)
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
        # Each sum is of PASSAGE / 2 bytes a window.
        per_byte = math.log(2) * len(windows) * PASSAGE / 2
        return {"bits_first": first / per_byte, "bits_again": again / per_byte}

    def batch(draw: torch.Generator) -> training.Batch:
        tokens, _ = repeated("train", options.batch, draw)
        return tokens[:, :-1], tokens[:, 1:]

    report = sorted({options.steps // 4, options.steps // 2, options.steps})
    training.compare(options, sizes, batch, bits, report)


if __name__ == "__main__":
    main()
