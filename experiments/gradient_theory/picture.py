"""Draw docs/gradients.png from results.jsonl: errors of the gradients against the implicit one.

python experiments/gradient_theory/picture.py [FILE]

Left: NMF of rank one, where all is known in closed form, for the cotangent with the largest error. Middle and
right: the ham of a small Light-Ham with random weights, shown two pictures of noise, with NMF and with CD.
"""

import io
import math
import sys
from pathlib import Path

from matplotlib.figure import Figure

from subquad.base.files import write_whole
from subquad.engine.experiment_results import read_lines

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
OWN, LIMIT, BOUND = "#00798c", "#d1495b", "#777777"
TITLES = {
    "rank one, NMF": "NMF of rank 1, worst case",
    "noise, NMF, to 1e-6": "untrained Light-Ham, NMF of rank 4",
    "noise, CD, to 1e-6": "untrained Light-Ham, CD of rank 4",
}


def main(path: Path) -> None:
    lines = {line["case"]: line for line in read_lines(HERE / "results.jsonl")}
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    for panel, (case, title) in zip(figure.subplots(1, 3), TITLES.items(), strict=True):
        ham = lines[case]
        steps, own, limit, bounds = (
            [math.nan if one[name] is None else one[name] for one in ham["gradients"]]
            for name in ("grad_steps", "error", "limit_error", "bound")
        )
        bounds = ham.get("theorem", bounds)
        panel.plot(steps, bounds, color=BOUND, label="bound at the fixed point", linewidth=6, alpha=0.3)
        panel.plot(steps, limit, "o-", color=LIMIT, label="at the fixed point", markersize=4)
        panel.plot(steps, own, "s-", color=OWN, label="of decompose, from the start", markersize=3.5)
        panel.set_yscale("log")
        panel.set_title(f"{title}, {ham['steps']} steps", fontsize=10)
        panel.set_xlabel("grad_steps")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    first = figure.axes[0]
    first.set_ylabel("error / length of the implicit gradient")
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_whole(path, buffer.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else DOCS / "gradients.png")
