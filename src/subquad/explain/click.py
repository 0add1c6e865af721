"""A picture that answers a click in the page: what is like that position, and which columns it is made of."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.explain.codes import Codes
from subquad.explain.images import RAMP
from subquad.explain.report import Script, Section

MOST_SIDE = 64  # rows and columns of positions that a page holds
MOST_NUMBERS = 2**19  # codes that a page holds, a byte each
MOST_PRODUCTS = 512  # columns of which a page holds all products, four bytes each
LEVELS = 127  # of a byte, to either side of zero


def packed(codes: Codes) -> dict[str, Any]:
    """Return the codes of a picture for a page: a byte each, on a grid that is thinned to what a page holds.

    Columns have length 1, their lengths are in the codes. The codes of a position are bytes, relative to its
    largest one; of more than 512 columns those that add most are kept.

    Args:
        codes: Of the picture.
    """
    values, products = unit_codes(codes)
    strengths = values.abs().sum(dim=1)
    kept = strengths.argsort(descending=True, stable=True)[:MOST_PRODUCTS].sort().values
    values, products = values[kept], products[kept][:, kept]
    rows, columns = (_thinned(count, _side(len(kept), codes.grid)) for count in codes.grid)
    values = values.unflatten(1, codes.grid)[:, rows][:, :, columns].flatten(1)
    scales = values.abs().amax(dim=0)
    levels = (values / scales.clamp_min(1e-30) * LEVELS).round()
    return {
        "grid": [len(rows), len(columns)],
        "covered": [n / all_ for n, all_ in zip(codes.covered, codes.grid, strict=True)],
        "size": list(codes.size),
        "columns": kept.tolist(),
        "codes": _base64(levels.mT.contiguous().to(torch.int8).numpy()),
        "scales": _base64(scales.float().numpy().astype("<f4")),
        "products": _base64(products.float().numpy().astype("<f4")),
        "ramp": RAMP.astype(int).tolist(),
    }


def unit_codes(codes: Codes) -> tuple[Tensor, Tensor]:
    """Return the codes of columns of length 1, (heads * rank, positions), and the columns' products.

    The products, (heads * rank, heads * rank), are zero between heads, which share no channel.

    Args:
        codes: Of a picture.
    """
    dictionary, found = codes.factors
    lengths = torch.linalg.vector_norm(dictionary, dim=1)  # (heads, rank)
    units = F.normalize(dictionary.double(), dim=1)
    return (found * lengths.unsqueeze(2)).flatten(0, 1), torch.block_diag(*(units.mT @ units).unbind())


def clickable(section: Section, source: str, described: str) -> None:
    """Add the picture that is clicked, and where the page says what it found; see `SCRIPT`.

    Args:
        section: Of the page.
        source: The picture as a data URI.
        described: What it shows, for those who do not see it.
    """
    section.markup(
        '<div id="click" class="click" tabindex="0" role="application" '
        f'aria-label="{html.escape(described)}; arrow keys move the position">'
        f'<img alt="{html.escape(described)}" src="{html.escape(source)}"><canvas id="map"></canvas>'
        '<i id="mark" hidden></i></div><div id="choices" class="choices"></div>'
        '<p class="note" id="told" aria-live="polite">Click the picture. (Without scripts this page shows '
        "all but that.)</p>"
    )


def script(codes: Codes, at: tuple[int, int] | None) -> Script:
    """Return what makes a page with `clickable` answer.

    Args:
        codes: Of the picture.
        at: x and y of the pixel that is shown first; None: none is.
    """
    return Script(SCRIPT, {**packed(codes), "at": None if at is None else list(at)})


def _side(columns: int, grid: tuple[int, int]) -> int:
    """Return the most rows and columns that fit."""
    side = MOST_SIDE
    while side > 1 and min(side, grid[0]) * min(side, grid[1]) * columns > MOST_NUMBERS:
        side -= 1
    return side


def _thinned(count: int, most: int) -> Tensor:
    """Return at most so many of `count` places, evenly spread."""
    kept = min(count, most)
    return torch.tensor([int((place + 0.5) * count / kept) for place in range(kept)])


def _base64(values: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


SCRIPT = """
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const [rows, columns] = data.grid, count = rows * columns, rank = data.columns.length;
  const codes = new Int8Array(bytes(data.codes).buffer);  // of a position one after the other
  const scales = new Float32Array(bytes(data.scales).buffer);
  const products = new Float32Array(bytes(data.products).buffer);
  const box = document.getElementById("click"), canvas = document.getElementById("map");
  const mark = document.getElementById("mark"), choices = document.getElementById("choices");
  const told = document.getElementById("told");
  canvas.width = columns; canvas.height = rows;
  canvas.style.height = 100 / data.covered[0] + "%";
  canvas.style.width = 100 / data.covered[1] + "%";

  // D'D c of a position, and the length of D c of each
  const seen = position => {
    const found = new Float64Array(rank);
    for (let r = 0; r < rank; r++)
      for (let s = 0; s < rank; s++) found[r] += products[r * rank + s] * codes[position * rank + s];
    return found;
  };
  const dot = (vector, position) => {
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += vector[r] * codes[position * rank + r];
    return sum;
  };
  const lengths = Float64Array.from({length: count}, (_, q) => Math.sqrt(Math.max(0, dot(seen(q), q))));
  const context = position => {
    const vector = seen(position);
    return Float64Array.from({length: count}, (_, q) => {
      const scale = lengths[position] * lengths[q];
      return scale > 0 ? Math.max(-1, Math.min(1, dot(vector, q) / scale)) : 0;
    });
  };
  const used = column => Float64Array.from({length: count},
    (_, q) => Math.abs(codes[q * rank + column]) * scales[q] / 127);
  const shares = position => {
    const own = Array.from(codes.subarray(position * rank, (position + 1) * rank), Math.abs);
    const sum = own.reduce((a, b) => a + b, 0) || 1;
    return own.map(value => value / sum);
  };

  const paint = values => {
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    const picture = new ImageData(columns, rows), last = data.ramp.length - 1;
    values.forEach((value, q) => {
      const place = (high > low ? (value - low) / (high - low) : 0) * last;
      const below = Math.min(Math.floor(place), last - 1), rest = place - below;
      for (let k = 0; k < 3; k++)
        picture.data[4 * q + k] = (1 - rest) * data.ramp[below][k] + rest * data.ramp[below + 1][k];
      picture.data[4 * q + 3] = 255;
    });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    return [low, high].map(value => value.toPrecision(2)).join(" (dark) to ") + " (light)";
  };

  let place = [Math.floor(data.size[0] / 2), Math.floor(data.size[1] / 2)];  // row and column of a pixel
  const show = (y, x) => {
    place = [y, x];
    const at = [y, x].map((v, axis) => Math.min(data.grid[axis] - 1,
      Math.floor((v + .5) / data.size[axis] * data.covered[axis] * data.grid[axis])));
    const position = at[0] * columns + at[1];
    mark.hidden = false;
    mark.style.top = 100 * (y + .5) / data.size[0] + "%";
    mark.style.left = 100 * (x + .5) / data.size[1] + "%";
    const parts = shares(position).map((share, column) => [share, column]).sort((a, b) => b[0] - a[0]);
    const alike = "how like this position each other is, the cosine, ";
    const views = [["context", () => context(position), alike]];
    for (const [share, column] of parts.slice(0, 6))
      if (share > 0) views.push(["column " + data.columns[column] + ": " + (100 * share).toFixed(0) + " %",
        () => used(column), "how much column " + data.columns[column] + " adds to each position, "]);
    const buttons = views.map(([name, values, words]) => {
      const button = document.createElement("button");
      button.textContent = name;
      button.type = "button";
      button.onclick = () => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        told.textContent = "Pixel (" + x + ", " + y + "), position (" + at[1] + ", " + at[0] + ") of "
          + columns + " x " + rows + ": " + words + paint(values());
      };
      return button;
    });
    const off = document.createElement("button");
    off.textContent = "picture alone";
    off.type = "button";
    off.onclick = () => {
      canvas.getContext("2d").clearRect(0, 0, columns, rows);
      for (const other of buttons) other.setAttribute("aria-pressed", "false");
      told.textContent = "Click the picture.";
    };
    choices.replaceChildren(...buttons, off);
    buttons[0].click();
  };
  const inside = (value, size) => Math.max(0, Math.min(size - 1, Math.floor(value)));
  box.addEventListener("click", event => {
    const frame = box.getBoundingClientRect();
    show(inside((event.clientY - frame.top) / frame.height * data.size[0], data.size[0]),
         inside((event.clientX - frame.left) / frame.width * data.size[1], data.size[1]));
  });
  box.addEventListener("keydown", event => {
    const move = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
    if (!move) return;
    event.preventDefault();
    const next = move.map((step, axis) => {
      const size = data.size[axis], width = Math.ceil(size / data.covered[axis] / data.grid[axis]);
      return inside(place[axis] + step * width, size);
    });
    show(...next);
  });
  if (data.at) show(data.at[1], data.at[0]); else told.textContent = "Click the picture.";
})();
"""
