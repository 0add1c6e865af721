"""Write the tables of docs/steps.md from results.jsonl, or draw docs/steps.png.

python experiments/steps/tables.py reconstruction      or iou, dial, plot
"""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PICTURE = HERE.parents[1] / "docs" / "steps.png"
SHOWN = (1, 2, 3, 4, 6, 12)
STARTS = ("random", "fixed", "running", "learned", "another picture", "last frame")
RANDOM, TRAINED = STARTS[0], 6  # what others are compared with: the start, and the steps while training
MOST_LOST = 0.005
SCENES = "Scenes, 250 steps"  # of training
COLORS = ("#00798c", "#d1495b", "#edae49", "#5f5aa2", "#66a182", "#2e4057")

Curve = Mapping[int, list[float]]  # values of all seeds, by the number of steps


def curves(question: str, *by: str) -> dict[tuple[str, ...], Curve]:
    """Return the curve of each group of lines that answer a question."""
    found: dict[tuple[str, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for text in (HERE / "results.jsonl").read_text().splitlines():
        line = json.loads(text)
        if line["question"] == question:
            found[tuple(line[name] for name in by)][line["steps"]].append(line["value"])
    return dict(found)


def by_start(question: str, *by: str) -> dict[tuple[str, ...], Curve]:
    """Return the same, by start last; starts in the order of `STARTS`, all else as it was measured."""
    found = curves(question, *by, "start")
    groups = [*dict.fromkeys(key[:-1] for key in found)]
    return dict(
        sorted(found.items(), key=lambda item: (groups.index(item[0][:-1]), STARTS.index(item[0][-1])))
    )


def mean(curve: Curve, steps: int) -> float:
    return statistics.mean(curve[steps])


def fewest(curve: Curve, is_enough: Any) -> str:
    """Return the first number of steps that is enough."""
    enough = [steps for steps in sorted(curve) if is_enough(mean(curve, steps))]
    return str(enough[0]) if enough else f"more than {max(curve)}"


def reconstruction() -> Iterator[list[str]]:
    """Yield a row for each network, solver and start: errors in percent, steps to what random has after 6."""
    found = by_start("reconstruction", "network", "solver")
    for (network, solver, start), curve in found.items():
        aim = mean(found[network, solver, RANDOM], TRAINED)
        errors = [f"{100 * mean(curve, steps):.1f}" for steps in SHOWN]
        yield [network, solver, start, *errors, fewest(curve, lambda error, aim=aim: error <= aim)]


def iou() -> Iterator[list[str]]:
    """Yield a row for each start: mean IoU in percent, the fewest steps that lose at most half a point."""
    for (network, solver, start), curve in by_start("iou", "network", "solver").items():
        aim = mean(curve, TRAINED) - MOST_LOST
        values = [100 * mean(curve, steps) for steps in SHOWN]
        spread = 100 * statistics.stdev(curve[TRAINED]) if len(curve[TRAINED]) > 1 else 0.0
        cells = [
            f"{v:.1f}" + f" ± {spread:.1f}" * (s == TRAINED and spread > 0)
            for s, v in zip(SHOWN, values, strict=True)
        ]
        yield [network, solver, start, *cells, fewest(curve, lambda value, aim=aim: value >= aim)]


def dial() -> Iterator[list[str]]:
    """Yield a row for each network and number of steps: mean IoU by start, milliseconds of both parts."""
    quality, times = curves("dial", "network", "start"), curves("latency", "network", "part")
    for network in dict.fromkeys(network for network, _ in quality):
        starts = [curve for (of, _), curve in quality.items() if of == network]
        for steps in sorted(starts[0]):
            scores = [f"{100 * mean(curve, steps):.2f}" for curve in starts]
            parts = [mean(times[network, part], steps) for part in ("ham", "network")]
            yield [network, str(steps), *scores, *(f"{ms:.3g}" for ms in parts)]


def plot() -> None:
    """Draw the three curves side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.6, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    errors = by_start("reconstruction", "network", "solver")
    scenes = by_start("iou", "network", "solver")
    panels = {
        left: {key[2]: curve for key, curve in errors.items() if key[:2] == ("nuclei", "NMF")},
        middle: {key[2]: curve for key, curve in scenes.items() if key[:2] == (SCENES, "NMF")},
        right: {", ".join(key): curve for key, curve in curves("dial", "network", "start").items()},
    }
    for panel, lines in panels.items():
        for index, (name, curve) in enumerate(lines.items()):
            color = COLORS[STARTS.index(name) if name in STARTS else index]
            usual = 0.0 if panel is not right else mean(curve, TRAINED)
            values = [100 * (mean(curve, steps) - usual) for steps in sorted(curve)]
            panel.plot(sorted(curve), values, "o-", color=color, label=name, markersize=4)
        panel.set_xlabel("steps")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8)
    left.set_title("What is not reconstructed, nuclei, NMF, %", fontsize=10)
    middle.set_title("Mean IoU on Scenes by start in training, %", fontsize=10)
    right.set_title(f"Mean IoU against {TRAINED} steps, points", fontsize=10)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    if sys.argv[1] == "plot":
        plot()
        return
    for row in {"reconstruction": reconstruction, "iou": iou, "dial": dial}[sys.argv[1]]():
        sys.stdout.write(f"| {' | '.join(row)} |\n")


if __name__ == "__main__":
    main()
