"""What each position of a sequence decides, and its links, as one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.explain.influence import largest_of_groups
from subquad.explain.link_maps import averaged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from subquad.explain.influence_page import InfluenceView

ACROSS = 4  # link maps of a row
MOST_MAPS = 16
MOST_BARS = 400
MOST_NAMED = 60  # positions that are named below their bars
WIDE = 512
BLUE = "#1f6fd1"


def draw_influence(view: InfluenceView) -> Figure:
    """Return the panels of the page: influence by position, values, link maps.

    Args:
        view: The sequence.
    """
    from matplotlib.figure import Figure

    links = view.links[:MOST_MAPS]
    rows = -(-len(links) // ACROSS)
    has_values = view.values is not None
    heights = [2.4, *([1.8] if has_values else []), *([1.35 * rows] if rows else [])]
    figure = Figure(figsize=(11, sum(heights) + 0.6), layout="constrained")
    answer = " ".join(view.said.rows[0]) if view.said.rows else ""
    unit = " %" if view.said.columns[-1].endswith("%") else ""
    figure.suptitle(_plain(f"{view.network}: {view.name}; {answer}{unit}"), fontsize=11)
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _bars(parts[0].subplots(1, 1), view)
    if has_values:
        panel = parts[1].subplots(1, 1)
        panel.plot(view.values)
        _titled(panel, "the values")
    if links:
        panels = parts[-1].subplots(rows, ACROSS, squeeze=False)
        for panel in panels.flat[len(links) :]:
            panel.set_axis_off()
        for panel, each in zip(panels.flat, links, strict=False):
            panel.imshow(averaged(each.links, WIDE).numpy(), aspect="auto", cmap="magma", vmin=0)
            count = len(each.offsets)
            shown = range(0, count, max(1, -(-count // 8)))
            panel.set_yticks(shown, [f"{each.offsets[place]:+d}" for place in shown], fontsize=7)
            panel.set_xticks([])
            panel.set_title(f"|links| of block {each.block}, factor {each.factor}", fontsize=8)
    return figure


def _bars(panel: Any, view: InfluenceView) -> None:
    shares = [100 * share for share in view.shares]
    middles, largest = largest_of_groups(shares, MOST_BARS)
    width = (middles[1] - middles[0]) if len(middles) > 1 else 1.0
    panel.bar(middles, largest, width=0.9 * width, color=BLUE)
    _titled(panel, _plain(f"influence of each position on {view.score}, %"))
    panel.set_xlabel("position", fontsize=9)
    if view.texts is not None and len(shares) <= MOST_NAMED:
        words = [view.text_at(position)[:12] for position in range(len(shares))]
        turned = max(map(len, words)) > 2
        panel.set_xticks(range(len(words)), [_plain(word) for word in words], rotation=90 if turned else 0)
        panel.tick_params(axis="x", labelsize=8)


def _titled(panel: Any, title: str) -> None:
    panel.set_title(title, fontsize=9)
    panel.grid(alpha=0.25, axis="y")
    panel.margins(x=0.01)
    panel.spines[["top", "right"]].set_visible(False)


def _plain(text: str) -> str:
    """Return a text in which nothing is mathematics, and nothing breaks the line."""
    return " ".join(text.replace("$", r"\$").split())
