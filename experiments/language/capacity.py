"""Could a memory copy a passage, if its keys were ideal? Nothing is trained here.

    SUBQUAD_DATA=... python experiments/language/capacity.py

Windows of repeats.py. The key of a position is a random direction of its own for each group of the last n
bytes, what is stored under it a random code of the next byte. Printed: how often the code that is read, from
all positions so far, is nearest to that of the byte that does come, where a passage comes again.
"""

from __future__ import annotations

import argparse

import repeats
import torch
import training
from torch import Tensor
from torch.nn import functional as F

CODE = 64  # numbers that stand for a byte


def copied(windows: Tensor, counted: Tensor, n: int, heads: int, size: int, solver: str) -> float:
    """Return the share of bytes that are read right.

    Args:
        windows: (count, length) bytes.
        counted: (count, length): which of them are asked for.
        n: Bytes of a key.
        heads: Memories, whose answers are added.
        size: Numbers of a key in each.
        solver: "ridge", with a ridge of 1, or "none".
    """
    groups = sum(torch.roll(windows, back, 1) * 257**back for back in range(n))
    of_group, number = torch.unique(groups, return_inverse=True)
    directions = F.normalize(torch.randn(len(of_group), heads, size), dim=-1)
    codes = F.normalize(torch.randn(257, CODE), dim=-1)
    right, asked = 0, 0
    for window, wanted, numbers in zip(windows, counted, number, strict=True):
        keys, values = directions[numbers].transpose(0, 1), codes[window]  # (heads, length, size)
        for place in wanted.nonzero().flatten().tolist():
            known = keys[:, n - 1 : place - 1]  # each is followed by the byte of the next position
            query = keys[:, place - 1, :, None]
            if solver == "ridge":
                query = torch.linalg.solve(known.mT @ known + torch.eye(size), query)
            read = (values[n:place].mT @ (known @ query)).sum(0).squeeze(1)
            right += int((codes @ read).argmax() == window[place])
            asked += 1
    return right / asked


def main() -> None:
    """Try groups of three and four bytes, four small memories and a large one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=24)
    options = parser.parse_args()
    torch.manual_seed(0)
    windows, counted = repeats.repeated("test", options.windows, torch.Generator().manual_seed(5))
    for n in (3, 4):
        for heads, size in ((4, 32), (4, 64), (1, 128)):
            for solver in ("none", "ridge"):
                about = {"bytes": n, "heads": heads, "size": size, "solver": solver}
                share = copied(windows, counted, n, heads, size, solver)
                training.write("capacity", {**about, "windows": options.windows, "right": share})


if __name__ == "__main__":
    main()
