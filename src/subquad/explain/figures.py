"""Figures of a report: curves, segmentations side by side, code maps."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = ("#d1495b", "#00798c", "#edae49")


def read_curve(log: str | Path, name: str) -> tuple[list[int], list[float]]:
    """Return steps and values of one column of Lightning's metrics.csv."""
    with Path(log).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(name)]
    return [int(row["step"]) for row in rows], [float(row[name]) for row in rows]


def curves(logs: Mapping[str, str | Path]) -> Figure:
    """Draw the training loss and the mean IoU of several runs.

    Args:
        logs: metrics.csv by the name of the run.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3))
    panels = figure.subplots(1, 2)
    for (name, log), color in zip(logs.items(), cycle(_COLORS), strict=False):
        for panel, column in zip(panels, ("train/loss", "val/mean_iou"), strict=True):
            steps, values = read_curve(log, column)
            panel.plot(
                steps,
                values,
                color=color,
                label=name,
                linewidth=1.8,
                marker="o" if panel is panels[1] else None,
            )
    for panel, title in zip(panels, ("training loss", "mean IoU"), strict=True):
        panel.set_title(title)
        panel.set_xlabel("step")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].set_ylim(0, 1)
    panels[1].legend(frameon=False)
    figure.tight_layout()
    return figure


def side_by_side(columns: Mapping[str, Sequence[Tensor]]) -> Figure:
    """Draw pictures in rows; each column has a title.

    Args:
        columns: uint8 pictures, (3, H, W) or (H, W, 3), by title; all columns equally long.
    """
    from matplotlib.figure import Figure

    rows = len(next(iter(columns.values())))
    figure = Figure(figsize=(2.1 * len(columns), 2.1 * rows))
    panels = figure.subplots(rows, len(columns), squeeze=False)
    for index, (title, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            array = np.asarray(picture)
            panels[row, index].imshow(array if array.shape[-1] == 3 else array.transpose(1, 2, 0))
            panels[row, index].set_axis_off()
        panels[0, index].set_title(title, fontsize=10)
    figure.tight_layout(pad=0.4)
    return figure


def map_grid(images: Tensor, maps: Tensor, titles: Sequence[str]) -> Figure:
    """Draw images, and beside each its maps; a column of maps shares one scale.

    Args:
        images: uint8 (batch, 3, H, W).
        maps: (batch, columns, h, w).
        titles: One a column of maps.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.1 * (1 + len(titles)), 2.1 * len(images)))
    panels = figure.subplots(len(images), 1 + len(titles), squeeze=False)
    for row, image in enumerate(images):
        panels[row, 0].imshow(image.movedim(0, -1).numpy())
        panels[row, 0].set_axis_off()
        for column in range(len(titles)):
            values = maps[:, column]
            panels[row, column + 1].imshow(
                values[row].numpy(),
                cmap="magma",
                vmin=float(values.min()),
                vmax=float(values.quantile(0.995)),
            )
            panels[row, column + 1].set_axis_off()
    for column, title in enumerate(("image", *titles)):
        panels[0, column].set_title(title, fontsize=10)
    figure.tight_layout(pad=0.4)
    return figure
