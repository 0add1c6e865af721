"""Sweep of combinations in which nothing may be NaN or infinite: outputs, gradients, and state.

    python experiments/reliability/nan_sweep.py              # all, some minutes on one core
    python experiments/reliability/nan_sweep.py --sample 500 # as many, drawn with a seed

Prints a table and exits with 1 if anything is not finite.
"""

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from nan_sweep import combinations, not_finite


def main() -> int:
    """Run the sweep; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sample", type=int, help="run only so many combinations")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    options = parser.parse_args()
    torch.set_num_threads(1)
    todo = combinations()
    if options.sample is not None and options.sample < len(todo):
        todo = random.Random(options.seed).sample(todo, options.sample)
    start = time.monotonic()
    runs, faulty, shown = Counter(), Counter(), []
    for combination in todo:
        names = not_finite(combination)
        runs[combination.block, combination.precision] += 1
        if names:
            faulty[combination.block, combination.precision] += 1
            shown.append((combination, names))
    print("| block | precision | combinations | not finite |\n|---|---|---:|---:|")
    for key, count in runs.items():
        print(f"| {key[0]} | {key[1]} | {count:,} | {faulty[key]:,} |")
    for combination, names in shown[:20]:
        print(f"\n{', '.join(value for value in combination if value)}: {', '.join(names)}")
    if len(shown) > 20:
        print(f"\nand {len(shown) - 20:,} more")
    took = f"{time.monotonic() - start:.0f} s, torch {torch.__version__}"
    print(f"\n{len(shown):,} of {len(todo):,} combinations are not finite ({took})")
    return int(bool(shown))


if __name__ == "__main__":
    sys.exit(main())
