"""What each position of a sequence decides, and the links between them, as tables, a page and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from subquad.base.table import Table
from subquad.explain.charts import MOST_POINTS, Line, color, line_chart, short
from subquad.explain.explanation import Explanation
from subquad.explain.images import data_uri, enlarged, heat_picture
from subquad.explain.influence import largest_of_groups, strongest_window, whole_pieces
from subquad.explain.influence_figure import draw_influence
from subquad.explain.link_maps import FactorLinks, averaged
from subquad.explain.report import Cell, HtmlReport, Picture, Section

MOST_TEXT = 2000  # positions that are shown as text
MOST_MAPS = 24  # factors whose links are shown as pictures
MOST_FEATURES = 6  # of values at each position
WIDE = 320  # columns of a picture of links
NAMED = 10  # positions in tables


@dataclass(frozen=True)
class InfluenceView:
    """A sequence, what the network says of it, and what decides that.

    Attributes:
        name: Of the sequence.
        network: Its name.
        score: What is decided, such as "the logit of 'cat'".
        vectors: Of what the gradients are, such as "token vector".
        said: What the network says.
        shares: Influence of each position; they sum to one, or are all zero.
        texts: What each position adds to the text, "" amid a letter; None of values.
        values: (n, features); None of tokens.
        links: Of its sparse factors.
        without_links: Why it has none, in a sentence; "" if it has.
        content: What `--json` writes of the prediction.
        notes: Sentences, such as what was cut.
    """

    name: str
    network: str
    score: str
    vectors: str
    said: Table
    shares: Sequence[float]
    texts: Sequence[str] | None = None
    values: Any = None
    links: Sequence[FactorLinks] = ()
    without_links: str = ""
    content: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def text_at(self, position: int) -> str:
        """Return what is at a position, in a word."""
        if self.texts is not None:
            return shown(self.texts[position])
        return ", ".join(short(float(value)) for value in self.values[position][:MOST_FEATURES])

    def strongest(self, most: int) -> list[int]:
        """Return the positions that decide most, the first of equal ones first."""
        order = sorted(range(len(self.shares)), key=lambda position: -self.shares[position])
        return [position for position in order[:most] if self.shares[position] > 0]


def shown(text: str) -> str:
    """Return a text in a table: blanks as signs, "·" for what adds nothing yet, the rest as it is."""
    if not text.strip():
        return "".join({" ": "␣", "\n": "⏎", "\t": "⇥"}.get(letter, "□") for letter in text) or "·"
    return text.strip() if text.strip().isprintable() else repr(text)[1:-1]


def explain_influence(view: InfluenceView) -> Explanation:
    """Return tables, page, figure and numbers.

    Args:
        view: The sequence.
    """
    strongest = [(str(p), view.text_at(p), f"{100 * view.shares[p]:.1f}") for p in view.strongest(NAMED)]
    tables = [
        view.said,
        Table(f"positions that decide most of {view.score}", ("position", "there", "share %"), strongest),
    ]
    content = {
        "input": view.name,
        "network": view.network,
        **view.content,
        "score": view.score,
        "influence": list(view.shares),
        "links": [
            {
                "block": each.block,
                "factor": each.factor,
                "offsets": list(each.offsets),
                "mean": each.strengths.tolist(),
            }
            for each in view.links
        ],
    }
    return Explanation(tables, _page(view), partial(draw_influence, view), content)


def _page(view: InfluenceView) -> HtmlReport:
    page = HtmlReport(
        f"What {view.network} makes of {view.name}",
        f"Which of its {len(view.shares):,} positions decide what the network says, and how its positions "
        "are linked.",
    )
    for each in (_answer(view), _influence(view), _links(view)):
        page.add(each)
    return page


def _answer(view: InfluenceView) -> Section:
    section = Section("What the network says")
    for sentence in view.notes:
        section.note(sentence)
    section.table(view.said.columns, view.said.rows, kind="plain")
    return section


def _influence(view: InfluenceView) -> Section:
    section = Section("What decides that")
    section.text(
        f"The influence of a position is the length of the gradient of {view.score} at its {view.vectors}: "
        "how much a small change there could change the score. Shares sum to 100 %. It has no sign, and "
        "says nothing of large changes, such as another token in that place."
    )
    if view.texts is not None:
        _add_text(section, view, view.texts)
    middles, largest = largest_of_groups([100 * share for share in view.shares], MOST_POINTS)
    chart = line_chart([Line("influence", middles, largest)], "influence by position", along="position")
    charts = [("influence, %", chart)]
    columns: Any = ()
    if view.values is not None:
        columns = np.asarray(view.values).T[:MOST_FEATURES]
        lines = [
            Line(f"value {k}", range(len(column)), column.tolist(), k) for k, column in enumerate(columns)
        ]
        charts.append(("the values", line_chart(lines, "values by position", along="position")))
    section.charts(charts)
    if len(columns) > 1:
        section.key((f"value {k}", color(k)) for k in range(len(columns)))
    if len(view.shares) > MOST_POINTS:
        count = len(view.shares)
        section.note(
            f"{count:,} positions in {MOST_POINTS} groups of neighbours: the largest of each is drawn."
        )
    rows = [
        (str(p), view.text_at(p), Cell(f"{100 * view.shares[p]:.1f}", view.shares[p], "bar"))
        for p in view.strongest(NAMED)
    ]
    section.table(("position", "there", "share %"), rows, kind="plain")
    return section


def _add_text(section: Section, view: InfluenceView, texts: Sequence[str]) -> None:
    """Add the tokens, shaded; of a long sequence the part that decides most."""
    window = strongest_window(view.shares, MOST_TEXT)
    if window.stop - window.start < len(texts):
        section.note(
            f"Positions {window.start:,} to {window.stop - 1:,} of {len(texts):,}, the part of "
            f"{MOST_TEXT:,} that decides most:"
        )
    pieces = whole_pieces(texts[window], view.shares[window])
    most = max((share for _, share in pieces), default=0.0) or 1.0
    section.shaded((text, share / most, f"{100 * share:.2f} %") for text, share in pieces)


def _links(view: InfluenceView) -> Section:
    section = Section("Links")
    if not view.links:
        section.text(view.without_links)
        return section
    section.text(
        "Each factor adds to a position what is at others, each weighed by a link that the network makes "
        "of the data. Pictures: |link| by position, from left to right, and by where it leads, from above; "
        "one scale for each factor. What the residual adds, a link of 1 from each position to itself, is "
        "left out."
    )
    if len(view.links) > MOST_MAPS:
        section.note(f"The first {MOST_MAPS} of {len(view.links)} factors are drawn; the tables have all.")
    pictures = []
    for each in view.links[:MOST_MAPS]:
        values = averaged(each.links, WIDE).numpy().repeat(8, axis=0)
        pixels = heat_picture(values, 0, float(values.max()))
        across = max(1, WIDE // pixels.shape[1])
        caption = f"block {each.block}, factor {each.factor}: to {offsets_text(each.offsets)}; up to "
        source = data_uri(enlarged(pixels.repeat(across, axis=1)), "png", 2 * WIDE)
        pictures.append(Picture(source, caption + short(float(each.links.abs().max()))))
    section.row(pictures, broad=True)
    for block in sorted({each.block for each in view.links}):
        factors = [each for each in view.links if each.block == block]
        most = max(float(each.strengths.max()) for each in factors) or 1.0
        alike = len({each.offsets for each in factors}) == 1
        columns = [
            f"{offset:+d}" if alike else f"link {number}"
            for number, offset in enumerate(factors[0].offsets, start=1)
        ]
        rows = [
            (
                f"factor {each.factor}{'' if alike else f': {offsets_text(each.offsets)}'}",
                *(Cell(short(value), value / most, "heat") for value in each.strengths.tolist()),
            )
            for each in factors
        ]
        section.heading(f"Block {block}: the mean of |link| over the positions")
        section.table(("", *columns), rows, kind="matrix")
    return section


def offsets_text(offsets: Sequence[int]) -> str:
    """Return where links lead, in a few words, such as "+0, +1, +2, .., +64"."""
    words = [f"{offset:+d}" for offset in offsets]
    return ", ".join(words) if len(words) <= 5 else ", ".join([*words[:3], "..", words[-1]])
