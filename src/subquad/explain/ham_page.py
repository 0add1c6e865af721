"""What a ham made of one picture, as tables, a page and a figure."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from subquad.base.table import Table
from subquad.explain.charts import Line, color, line_chart
from subquad.explain.click import clickable, script
from subquad.explain.explanation import Explanation
from subquad.explain.ham_figure import draw_ham
from subquad.explain.ham_view import HamView, Map
from subquad.explain.images import data_uri, enlarged, heat_picture
from subquad.explain.report import Cell, HtmlReport, Picture, Section
from subquad.explain.spectrum import energy_shares

SIDE = 640  # pixels of the picture that is clicked
COLUMNS = 8  # whose maps are shown
NAMED = 5  # columns in tables of the terminal


def explain_ham(view: HamView) -> Explanation:
    """Return tables, page, figure and numbers.

    Args:
        view: The picture.
    """
    page = _page(view)
    return Explanation(_tables(view), page, partial(draw_ham, view), _content(view))


def ham_rows(view: HamView) -> list[tuple[str, str]]:
    """Return the numbers that say how well a small product stands for the features."""
    heads, dim, positions = view.features.shape
    rank = view.codes.factors.codes.shape[1]
    head = f" in {heads} heads" if heads > 1 else ""
    return [
        ("features X, channels x positions", f"{heads * dim} x {positions:,}"),
        ("columns of the dictionary", f"{rank}{head}"),
        ("relative residual |X - D C| / |X|", f"{view.residual:.4f}"),
        ("effective rank of X", f"{view.ranks[0]:.1f}"),
        ("effective rank of D C", f"{view.ranks[1]:.1f}"),
    ]


def _tables(view: HamView) -> list[Table]:
    strongest = _columns(view.strengths[:NAMED])
    found = [
        view.said.table,
        Table("the ham: X = D C + E", ("", "value"), ham_rows(view)),
        Table("columns that add most to the picture", ("column", "share %"), strongest),
    ]
    if view.told_at is not None:
        x, y = view.told_at
        found.append(
            Table(
                f"columns that pixel ({x}, {y}) is made of",
                ("column", "share %"),
                _columns(view.shares[:NAMED]),
            )
        )
    return found


def _content(view: HamView) -> dict[str, Any]:
    rows, columns = view.codes.grid
    found: dict[str, Any] = {
        "input": view.name,
        "network": view.network,
        **view.said.content,
        "grid": [rows, columns],
        "relative_residual": view.residual,
        "effective_rank": {"x": view.ranks[0], "dc": view.ranks[1]},
        "energy": {
            name: energy_shares(values).tolist()
            for name, values in zip(("x", "dc"), view.spectra, strict=True)
        },
        "columns": [{"column": column, "share": share} for column, share in view.strengths],
        "at": None,
    }
    if view.told_at is not None and view.position is not None:
        found["at"] = {
            "x": view.told_at[0],
            "y": view.told_at[1],
            "row": view.position // columns,
            "column": view.position % columns,
            "columns": [{"column": column, "share": share} for column, share in view.shares],
        }
    return found


def _page(view: HamView) -> HtmlReport:
    page = HtmlReport(
        f"What {view.network} makes of {view.name}",
        "Inside of the network a ham writes the features of the picture, X, as a product of a dictionary D "
        "and codes C: each position is a sum of a few columns. What is left over, E = X - D C, it takes "
        "for noise.",
        script(view.codes, view.at),
    )
    page.tiles(
        [
            (f"{100 * view.residual:.1f} %", "relative residual, |X - D C| / |X|"),
            (f"{view.ranks[0]:.1f}", "effective rank of X"),
            (f"{view.ranks[1]:.1f}", f"effective rank of D C, of {len(view.strengths)} columns"),
        ]
    )
    for section in (_clicked(view), _answer(view), _strongest(view), _residual(view), _spectrum(view)):
        page.add(section)
    return page


def _clicked(view: HamView) -> Section:
    section = Section("Which positions share columns")
    section.text(
        "Click a pixel: the map shows how like its position all others are after the decomposition, the "
        "cosine between their sums D c. That is its context: what the ham tells alike. The buttons name "
        "the columns that the position is made of, with their shares of the lengths |d_r| |c_r|, and show "
        "where each is used."
    )
    clickable(section, data_uri(view.pixels, side=SIDE), f"the picture {view.name}")
    if view.position is not None and view.told_at is not None:
        x, y = view.told_at
        section.heading(f"Pixel ({x}, {y})")
        context = view.codes.context(view.position).numpy()
        pictures = [_picture(context, "its context", float(context.min()), float(context.max()))]
        for column, share in view.shares[:4]:
            if share:
                values = view.codes.column(column).numpy()
                pictures.append(_picture(values, f"column {column}: {100 * share:.1f} % of it"))
        section.row(pictures)
        section.table(("column", "share %"), _columns(view.shares[:COLUMNS]), kind="plain")
    section.note(
        f"The map has {view.codes.grid[0]} x {view.codes.grid[1]} positions. For a click this page holds "
        "them on 64 x 64 at most, as bytes; all else is computed from the numbers as they are."
    )
    return section


def _answer(view: HamView) -> Section:
    section = Section("What the network says")
    pictures = [Picture(data_uri(view.pixels), "the picture")]
    if view.said.picture is not None:
        pictures.append(Picture(data_uri(view.said.picture), "its classes"))
    section.row(pictures)
    colors = view.said.colors or (None,) * len(view.said.table.rows)
    rows = [
        (Cell(row[0], color=swatch), *row[1:])
        for row, swatch in zip(view.said.table.rows, colors, strict=True)
    ]
    section.table(view.said.table.columns, rows, kind="plain")
    return section


def _strongest(view: HamView) -> Section:
    section = Section("Code maps")
    section.text(
        "The columns that add most to the picture, the sum of |d_r| |c_r| over all positions, and where "
        "they are used. Columns have no meaning of their own: what a map shows, the network has found "
        "useful to tell apart."
    )
    maps = view.maps(COLUMNS)
    section.row(_picture(values, f"column {column}: {100 * share:.1f} %") for column, share, values in maps)
    return section


def _residual(view: HamView) -> Section:
    section = Section("What is kept, and what is left out")
    section.text(
        "The features before and after, painted by the three directions in which X differs most among "
        "positions (red, green, blue): like colours are like features. Below, how long the features, their "
        "reconstruction and the residual are at each position, on one scale."
    )
    names = ("X", "D C")
    section.row(
        Picture(data_uri(enlarged(pixels), "png"), name)
        for pixels, name in zip(view.colors, names, strict=True)
    )
    high = max(float(values.max()) for values in view.lengths.values())
    section.row(_picture(values, name, 0, high) for name, values in view.lengths.items())
    section.table(("", "value"), ham_rows(view), kind="plain")
    return section


def _spectrum(view: HamView) -> Section:
    section = Section("Spectrum")
    section.text(
        "The share of the energy (squares of singular values) that the first directions have together. The "
        "effective rank is the exponential of the entropy of the singular values' shares (Roy and Vetterli, "
        "EUSIPCO 2007): 1 if one direction has all, n for n equal ones."
    )
    names = ("X", "D C")
    lines = [
        Line(name, range(1, len(values) + 1), cumulated(values), number)
        for number, (name, values) in enumerate(zip(names, view.spectra, strict=True))
    ]
    chart = line_chart(lines, "cumulated energy by number of directions", along="directions")
    section.charts([("energy of the first directions, together", chart)])
    section.key((name, color(number)) for number, name in enumerate(names))
    return section


def cumulated(values: Tensor) -> list[float]:
    """Return which share of the energy the first singular values have together, for each number of them."""
    return energy_shares(values).cumsum(0).tolist()


def _picture(values: Map, caption: str, low: float = 0.0, high: float | None = None) -> Picture:
    high = float(values.max()) if high is None else high
    return Picture(data_uri(enlarged(heat_picture(values, low, high)), "png"), caption)


def _columns(shares: list[tuple[int, float]]) -> list[tuple[str, str]]:
    return [(str(column), f"{100 * share:.1f}") for column, share in shares]
