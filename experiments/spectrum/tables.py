"""Print the spectra; `plot FILE` draws them.

python experiments/spectrum/tables.py [plot docs/spectrum.png]
"""

import statistics
import sys
from pathlib import Path

from run import DIRECTIONS

from subquad.engine.experiment_results import mean_and_deviation, read_lines

LINES = read_lines(Path(__file__).parent / "results.jsonl")
SIDES = {"before": "X", "after": "D C"}


def table() -> None:
    print(f"{len(LINES)} pictures; energy of the first directions together, in percent:\n")
    print("|", " | ".join(["", "effective rank", *(f"{n}" for n in DIRECTIONS)]), "|")
    print("|---|--:|" + "--:|" * len(DIRECTIONS))
    for side, name in SIDES.items():
        rank = mean_and_deviation([line[f"effective_rank_{side}"] for line in LINES])
        energy = [
            mean_and_deviation([100 * line[f"energy_{side}"][n] for line in LINES])
            for n in range(len(DIRECTIONS))
        ]
        print("|", " | ".join([name, rank, *energy]), "|")
    print(
        f"\nLeft out, of the length of X: {mean_and_deviation([100 * line['residual'] for line in LINES])} %."
    )


def plot(path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for (side, name), color in zip(SIDES.items(), ("#2563ab", "#d1495b"), strict=True):
        for line in LINES:
            axes.plot(DIRECTIONS, line[f"energy_{side}"], color=color, alpha=0.15, linewidth=1)
        mean = [statistics.fmean(line[f"energy_{side}"][n] for line in LINES) for n in range(len(DIRECTIONS))]
        axes.plot(DIRECTIONS, mean, "o-", color=color, label=name, linewidth=2, markersize=4)
    axes.set_xscale("log", base=2)
    axes.set_xticks(DIRECTIONS, [str(n) for n in DIRECTIONS])
    axes.set_xlabel("first directions")
    axes.set_ylabel("share of the sum of squares")
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    plot(sys.argv[2]) if sys.argv[1:2] == ["plot"] else table()
