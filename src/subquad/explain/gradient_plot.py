"""A picture of gradients against the implicit one, and against BPTT."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subquad.base.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from subquad.explain.gradient_report import HamGradients

_OWN, _LIMIT, _BPTT, _BOUND = "#00798c", "#d1495b", "#b3761c", "#9b9b9b"


def draw_gradients(hams: Sequence[HamGradients], path: str | Path) -> None:
    """Draw errors with their bound, angles and lengths over `grad_steps`, a column for each ham.

    Args:
        hams: Those whose gradients are all zero are left out.
        path: Of the picture; its end says the format: .png, .svg or .pdf.

    Raises:
        ValueError: If none has one.
    """
    from matplotlib.figure import Figure

    hams = [ham for ham in hams if any(one.bptt_length is not None for one in ham.gradients)]
    if not hams:
        raise ValueError("all gradients are zero, so there is nothing to draw.")
    figure = Figure(figsize=(4.6 * len(hams), 7.6), layout="constrained")
    panels = figure.subplots(3, len(hams), squeeze=False, sharex="col")
    for ham, column in zip(hams, panels.T, strict=True):
        _draw(ham, column)
    for panel, what in zip(
        panels[:, 0], ("relative error", "angle, degrees", "relative length"), strict=True
    ):
        panel.set_ylabel(what)
    panels[0, 0].legend(frameon=False, fontsize=8)
    panels[1, 0].legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix[1:].lower() or "png", dpi=150)
    write_whole(path, buffer.getvalue())


def _draw(ham: HamGradients, panels: Sequence[Axes]) -> None:
    errors, angles, lengths = panels
    steps = [one.grad_steps for one in ham.gradients]

    def line(panel: Axes, values: Sequence[float | None], style: str, color: str, label: str = "") -> None:
        known = [math.nan if value is None else value for value in values]
        panel.plot(steps, known, style, color=color, label=label, markersize=4)

    line(errors, [one.error for one in ham.gradients], "o-", _OWN, f"of decompose, at {ham.steps} steps")
    line(errors, [one.limit_error or None for one in ham.gradients], "o-", _LIMIT, "at the fixed point")
    line(errors, [one.bound or None for one in ham.gradients], "--", _BOUND, "bound at the fixed point")
    line(angles, [one.angle for one in ham.gradients], "o-", _OWN, "to the implicit gradient")
    line(angles, [one.bptt_angle for one in ham.gradients], "s:", _BPTT, "to BPTT")
    line(lengths, [one.length for one in ham.gradients], "o-", _OWN)
    line(lengths, [one.bptt_length for one in ham.gradients], "s:", _BPTT)
    lengths.axhline(1, color=_BOUND, linewidth=1)
    if ham.implicit:
        errors.set_yscale("log")
    else:
        told = "the implicit gradient is " + ("not known" if ham.implicit is None else "zero")
        errors.text(0.5, 0.5, told, ha="center", transform=errors.transAxes, fontsize=9)
    errors.set_title(ham.name or "ham", fontsize=10)
    for panel in (angles, lengths):
        panel.set_ylim(0, 1.08 * max(panel.get_ylim()[1], 0))
    lengths.set_xlabel("grad_steps")
    lengths.set_xticks(steps)
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
