"""What a ham made of one picture, as one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.explain.spectrum import energy_shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from subquad.explain.ham_view import HamView

ACROSS = 5  # panels of a row
BLUE, RED = "#1f6fd1", "#d1495b"


def draw_ham(view: HamView) -> Figure:
    """Return the panels of the page: prediction, features, residual, code maps, spectrum, context.

    Args:
        view: The picture.
    """
    from matplotlib.figure import Figure

    height, width = view.pixels.shape[:2]
    side = 2.3
    tall = min(1.6, max(0.5, height / width)) * side + 0.35
    with_context = view.position is not None
    count = 3 if with_context else 2
    figure = Figure(figsize=(side * ACROSS, tall * count + 2.4), layout="constrained")
    figure.suptitle(f"{view.network}: {view.name}".replace("$", r"\$"), fontsize=11)
    parts: Any = figure.subfigures(count + 1, 1, height_ratios=[tall] * count + [2.1])
    _first(parts[0].subplots(1, ACROSS), view)
    if with_context:
        _context(parts[1].subplots(1, ACROSS), view)
    _maps(
        parts[-2].subplots(1, ACROSS),
        [(f"column {c}: {100 * s:.0f} %", m) for c, s, m in view.maps(ACROSS)],
    )
    _spectrum(parts[-1].subplots(1, 1), view)
    return figure


def _first(panels: Any, view: HamView) -> None:
    """Draw the picture, its classes, X, D C and the residual."""
    painted, rebuilt = view.colors
    residual = view.lengths["|X - D C|"]
    most = float(view.lengths["|X|"].max())
    panels[0].imshow(view.pixels)
    _mark(panels[0], view)
    if view.said.picture is not None:
        panels[1].imshow(view.said.picture)
    else:
        rows = [f"{' '.join(row)} %" for row in view.said.table.rows[:6]]
        panels[1].set_box_aspect(view.pixels.shape[0] / view.pixels.shape[1])
        text = "\n".join(each if len(each) < 26 else f"{each[:25]}…" for each in rows)
        panels[1].text(
            0.02, 0.95, text.replace("$", r"\$"), va="top", fontsize=8, transform=panels[1].transAxes
        )
    panels[2].imshow(painted)
    panels[3].imshow(rebuilt)
    panels[4].imshow(residual, cmap="magma", vmin=0, vmax=most)
    titles = ("picture", "prediction", "X", "D C", f"|X - D C|: {100 * view.residual:.1f} %")
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, fontsize=9)
        panel.set_axis_off()


def _context(panels: Any, view: HamView) -> None:
    """Draw the context of the pixel, and where the columns are used that it is made of."""
    assert view.position is not None and view.told_at is not None
    x, y = view.told_at
    panels[0].imshow(view.codes.context(view.position).numpy(), cmap="magma")
    panels[0].set_title(f"like pixel ({x}, {y})", fontsize=9)
    panels[0].set_axis_off()
    _mark(panels[0], view, on_map=True)
    maps = [(f"{100 * s:.0f} % column {c}", view.codes.column(c).numpy()) for c, s in view.shares[:4] if s]
    _maps(panels[1:], maps)


def _maps(panels: Any, maps: list[tuple[str, Any]]) -> None:
    for panel in panels:
        panel.set_axis_off()
    for panel, (title, values) in zip(panels, maps, strict=False):
        panel.imshow(values, cmap="magma", vmin=0)
        panel.set_title(title, fontsize=9)


def _mark(panel: Any, view: HamView, *, on_map: bool = False) -> None:
    """Draw a ring around the pixel."""
    if view.at is None or view.position is None:
        return
    x, y = view.at
    if on_map:
        y, x = divmod(view.position, view.codes.grid[1])
    panel.plot(x, y, "o", ms=8, mfc="none", mec="black", mew=3)
    panel.plot(x, y, "o", ms=8, mfc="none", mec="white", mew=1.3)


def _spectrum(panel: Any, view: HamView) -> None:
    names = ("X", "D C")
    for name, values, rank, color in zip(names, view.spectra, view.ranks, (BLUE, RED), strict=True):
        cumulated = energy_shares(values).cumsum(0).tolist()
        label = f"{name}, effective rank {rank:.1f}"
        panel.plot(range(1, len(cumulated) + 1), cumulated, color=color, label=label, linewidth=1.8)
    panel.set_xscale("log")
    panel.set_xlabel("directions", fontsize=9)
    panel.set_title("energy of the first directions, together", fontsize=9)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=9, loc="lower right")
