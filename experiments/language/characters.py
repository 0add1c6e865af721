"""Bits of each byte of IMDB's reviews, for each design.

    SUBQUAD_DATA=... python experiments/language/characters.py --designs paramixer ridge --steps 2000

Two layers, dim 128, 4 heads, windows of 256 bytes, batches of 8: some 0.42 M parameters. A line of
results/characters.jsonl for each of the steps of `--report`.
"""

from __future__ import annotations

import argparse
import math

import designs
import text
import torch
import training
from torch import nn
from torch.nn import functional as F


def main() -> None:
    """Train each design with each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--designs", nargs="+", default=list(designs.DESIGNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--lrs", nargs="+", type=float, default=[3e-3])
    parser.add_argument("--steps", type=int, default=400, help="Of the whole schedule.")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--validation", type=int, default=128, help="Windows of the test split.")
    parser.add_argument("--name", default="characters", help="Of the file of results.")
    options = parser.parse_args()
    sizes = {"dim": options.dim, "depth": options.depth, "heads": 4, "context": options.context}
    held_out = text.windows("test", options.validation, options.context + 1, torch.Generator().manual_seed(1))

    def bits(network: nn.Module) -> dict[str, float]:
        total = 0.0
        for part in held_out.split(16):
            logits = network(part[:, :-1]).float()
            total += float(F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum"))
        return {"bits": total / math.log(2) / (len(held_out) * options.context)}

    for seed in options.seeds:
        for design in options.designs:
            for lr in options.lrs:
                torch.manual_seed(seed)
                network = designs.network(design, **sizes)
                draw = torch.Generator().manual_seed(1000 + seed)

                def batch(draw: torch.Generator = draw) -> training.Batch:
                    tokens = text.windows("train", options.batch, options.context + 1, draw)
                    return tokens[:, :-1], tokens[:, 1:]

                about = {
                    "design": design, "seed": seed, **sizes, "batch": options.batch,
                    "parameters": training.parameters(network),
                }  # fmt: skip
                run = training.train(
                    network, batch, steps=options.steps, lr=lr, report=[options.steps], evaluate=bits
                )
                for found in run:
                    training.write(options.name, {**about, **found})


if __name__ == "__main__":
    main()
