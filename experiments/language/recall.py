"""Multi-query associative recall: values of keys, told once, asked for later (Arora et al., 2023).

    python experiments/language/recall.py --designs ridge attention --seeds 0 1 2

A sequence of 64 tokens tells P keys with their values, side by side, and then asks for one of the keys at
every position, in any order. Keys and values are drawn anew for each sequence: weights cannot know them. Who
does not recall, but knows which values were told, is right in 1/P.
"""

from __future__ import annotations

import torch
import training
from torch import nn

KEYS, VALUES = 32, 32  # tokens: keys, then values
PAIRS = (4, 8, 16)
LENGTH = 64


def sequences(count: int, pairs: int, generator: torch.Generator) -> training.Batch:
    """Return tokens and targets (count, LENGTH); a target is -1 while keys are told."""
    keys = torch.rand(count, KEYS, generator=generator).argsort(1)[:, :pairs]
    values = torch.randint(VALUES, (count, pairs), generator=generator) + KEYS
    told = torch.stack([keys, values], dim=2).flatten(1)
    which = torch.randint(pairs, (count, LENGTH - 2 * pairs), generator=generator)
    tokens = torch.cat([told, keys.gather(1, which)], 1)
    return tokens, torch.cat([torch.full_like(told, -1), values.gather(1, which)], 1)


def main() -> None:
    """Train each design with each seed."""
    parser = training.parser(__doc__, "recall", "search_recall", steps=700, dim=64, batch=16)
    parser.add_argument("--chunk", type=int, default=16, help="Positions between two inverses of ridge.")
    options = parser.parse_args()
    sizes = {
        "dim": options.dim, "depth": options.depth, "heads": options.heads, "context": LENGTH,
        "chunk": options.chunk, "vocab_size": KEYS + VALUES,
    }  # fmt: skip
    held_out = {n: sequences(200, n, torch.Generator().manual_seed(1)) for n in PAIRS}

    def recalled(network: nn.Module) -> dict[str, float]:
        found = {}
        for pairs, (tokens, targets) in held_out.items():
            right = network(tokens).argmax(2) == targets
            found[f"recall_{pairs}"] = float(right.sum() / (targets >= 0).sum())
        return found

    def batch(draw: torch.Generator) -> training.Batch:
        pairs = PAIRS[int(torch.randint(len(PAIRS), (), generator=draw))]
        return sequences(options.batch, pairs, draw)

    training.compare(options, sizes, batch, recalled, range(100, options.steps + 1, 100))


if __name__ == "__main__":
    main()
