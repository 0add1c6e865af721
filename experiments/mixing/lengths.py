"""Time link_mix and its gradients on batches of many lengths: rows looked up, or views of each run.

python experiments/mixing/lengths.py --repeats 10        on a machine that does nothing else
"""

import argparse
import json
from dataclasses import asdict

import torch

from subquad.bench import environment, side_by_side
from subquad.ops import chord_offsets
from subquad.ops.link_packed import compare_packed, mix_packed, mix_packed_back
from subquad.ops.link_rows import compare_rows, mix_rows, mix_rows_back

LINKS = 10


def ways_of(batch: int, longest: int, dim: int):
    """Return the product and both gradients in either way, and by views where all lengths are equal."""
    torch.manual_seed(0)
    values, grad = torch.randn(2, batch, longest, dim)
    links = torch.randn(batch, longest, LINKS)
    many = torch.randint(longest // 2, longest + 1, (batch,))
    offsets = chord_offsets(LINKS - 1)

    def lookups():
        mix_packed(values, links, offsets, True, many)
        mix_packed_back(grad, links, offsets, True, many)
        compare_packed(grad, values, offsets, many)

    def views(lengths: torch.Tensor | None):
        mix_rows(values, links, offsets, True, lengths)
        mix_rows_back(grad, links, offsets, True, lengths)
        compare_rows(grad, values, offsets, lengths)

    return {"lookups": lookups, "views": lambda: views(many), "equal": lambda: views(None)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=10)
    arguments.add_argument("--batch", type=int, default=32)
    given = arguments.parse_args()
    device = torch.device("cpu")
    before = environment(device)
    rows = []
    print("| dim | longest | lookups, ms | views, ms | views, equal lengths, ms |\n|--:|--:|--:|--:|--:|")
    for dim in (32, 64, 128):
        for longest in (16, 64, 256, 512, 1024, 2048):
            times = side_by_side(ways_of(given.batch, longest, dim), repeats=given.repeats, device=device)
            rows.append({"dim": dim, "longest": longest} | {way: asdict(t) for way, t in times.items()})
            print(f"| {dim} | {longest} | " + " | ".join(str(time) for time in times.values()) + " |")
    print(json.dumps(vars(given) | asdict(before) | {"rows": rows}))


if __name__ == "__main__":
    main()
