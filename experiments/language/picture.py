"""Draw docs/causal.svg: what three causal factors reach, and how a memory completes a query.

python experiments/language/picture.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

matplotlib.use("svg")
DOCS = Path(__file__).parents[2] / "docs"
POSITIONS, FACTORS = 8, 3
GREY, BLUE, ORANGE = "#b8bec6", "#1f5fa8", "#d9822b"


def draw_links(axes: Axes) -> None:
    """Draw all links, and those that lead to the last position."""
    last = {POSITIONS - 1}
    reached = [last]  # of the rows, the upmost first
    for factor in reversed(range(FACTORS)):
        reached.append({j for i in reached[-1] for j in (i, i - 2**factor) if j >= 0})
    for factor in range(FACTORS):
        above = reached[FACTORS - factor - 1]
        for i in range(POSITIONS):
            for j in (i, i - 2**factor):
                if j >= 0:
                    leads = i in above
                    axes.plot(
                        [j, i], [factor, factor + 1], color=BLUE if leads else GREY, lw=1.6 if leads else 0.8,
                        zorder=2 if leads else 1,
                    )  # fmt: skip
        axes.text(
            POSITIONS - 0.55, factor + 0.5, f"$m={factor}$: 0 or {2**factor} back", va="center", fontsize=9
        )
    for row in range(FACTORS + 1):
        for i in range(POSITIONS):
            leads = i in reached[FACTORS - row]
            axes.plot(i, row, "o", color=BLUE if leads else GREY, ms=7, zorder=3)
    axes.text(-0.6, 0, "$y^0$", ha="right", va="center")
    axes.text(-0.6, FACTORS, f"$y^{FACTORS}$", ha="right", va="center")
    axes.set_xlim(-1.4, POSITIONS + 2.4)
    axes.set_ylim(-0.5, FACTORS + 0.5)
    axes.set_title("CausalParamixer: three factors reach\nthe seven positions before", fontsize=10)
    axes.axis("off")


def draw_memory(axes: Axes) -> None:
    """Draw the stored columns, a query, its codes, and what they complete."""
    columns = 6
    for s in range(columns):
        fade = 0.25 + 0.75 * (s + 1) / columns
        for bottom, colour, name in ((1.6, BLUE, "k"), (0, ORANGE, "v")):
            axes.add_patch(Rectangle((s, bottom), 0.8, 1.4, color=colour, alpha=fade, lw=0))
            axes.text(s + 0.4, bottom + 0.7, f"${name}_{s + 1}$", ha="center", va="center", color="white")
    for bottom, name, colour in ((1.6, "q", BLUE), (0, "o", "none")):
        axes.add_patch(
            Rectangle(
                (columns + 2.6, bottom), 0.8, 1.4, fc=colour, ec=BLUE if name == "q" else ORANGE, ls="--"
            )
        )
        axes.text(
            columns + 3,
            bottom + 0.7,
            f"${name}$",
            ha="center",
            va="center",
            color="white" if name == "q" else ORANGE,
        )
    arrows = (
        ((columns + 2.5, 2.3), (columns + 0.1, 2.3), "1. codes of the keys\nthat rebuild $q$", 2.6),
        ((columns + 0.1, 0.7), (columns + 2.5, 0.7), "2. the same codes\nof the values", 1.0),
    )
    for start, end, words, height in arrows:
        axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color="#333333"))
        axes.text(columns + 1.3, height, words, ha="center", va="bottom", fontsize=8.5)
    axes.text(columns / 2, -0.35, "stored so far; the older, the fainter", ha="center", va="top", fontsize=9)
    axes.set_xlim(-0.3, columns + 3.7)
    axes.set_ylim(-0.9, 4)
    axes.set_title("CausalHam: a query is completed\nby the columns before it", fontsize=10)
    axes.axis("off")


def main() -> None:
    """Draw both side by side."""
    pyplot.rcParams |= {"svg.hashsalt": "causal", "font.size": 11}
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    draw_links(left)
    draw_memory(right)
    figure.savefig(DOCS / "causal.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
