"""Bits of each byte of IMDB's reviews, for each design.

    SUBQUAD_DATA=... python experiments/language/characters.py --designs paramixer ridge --steps 2000

Two layers, dim 128, 4 heads, windows of 256 bytes, batches of 8: some 0.42 M parameters. A line of
results/characters.jsonl for each of the steps of `--report`.
"""

from __future__ import annotations

import math

import text
import torch
import training
from torch import nn
from torch.nn import functional as F


def main() -> None:
    """Train each design with each seed."""
    parser = training.parser(__doc__, "characters", "search_characters", steps=400, dim=128, batch=8)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--validation", type=int, default=128, help="Windows of the test split.")
    options = parser.parse_args()
    sizes = {"dim": options.dim, "depth": options.depth, "heads": options.heads, "context": options.context}
    held_out = text.windows("test", options.validation, options.context + 1, torch.Generator().manual_seed(1))

    def bits(network: nn.Module) -> dict[str, float]:
        total = 0.0
        for part in held_out.split(16):
            logits = network(part[:, :-1]).float()
            total += float(F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum"))
        return {"bits": total / math.log(2) / (len(held_out) * options.context)}

    def batch(draw: torch.Generator) -> training.Batch:
        tokens = text.windows("train", options.batch, options.context + 1, draw)
        return tokens[:, :-1], tokens[:, 1:]

    training.compare(options, sizes, batch, bits, [options.steps])


if __name__ == "__main__":
    main()
