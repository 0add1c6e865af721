"""Draw docs/links.png: the links of single factors, and how many ways lead from position to position by all.

python experiments/mixers/links.py

White is no link. Of the products all entries are one path or more: full, of sparse factors.
"""

from pathlib import Path

import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from subquad.ops import cdil_offsets, chord_offsets

DOCS = Path(__file__).parents[2] / "docs"
POSITIONS, FACTORS, CDIL_LINKS = 64, 6, 5


def links(offsets: tuple[int, ...]) -> Tensor:
    """Return how often position i has a link to position j, (positions, positions)."""
    rows = torch.arange(POSITIONS)[:, None].expand(-1, len(offsets))
    places = (rows + torch.tensor(offsets)) % POSITIONS
    ones = torch.ones(places.shape)
    return torch.zeros(POSITIONS, POSITIONS).scatter_add(1, places, ones)


def main() -> None:
    chord = [links(chord_offsets(FACTORS))] * FACTORS
    cdil = [links(cdil_offsets(factor, links=CDIL_LINKS)) for factor in range(FACTORS)]
    panels = {
        "CHORD, each factor": chord[0],
        "product of 2": torch.linalg.multi_dot(chord[:2]),
        f"product of {FACTORS}": torch.linalg.multi_dot(chord),
        "CDIL, factor 0": cdil[0],
        "factor 3": cdil[3],
        f"product of {FACTORS} ": torch.linalg.multi_dot(cdil),
    }
    figure = Figure(figsize=(12, 2.5), layout="constrained")
    for axes, (name, ways) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(ways.where(ways > 0, torch.nan), cmap="Blues", norm=LogNorm(0.3, float(ways.max())))
        share = 100 * float((ways > 0).float().mean())
        axes.set_title(f"{name.strip()}: {share:.0f} %", fontsize=10)
        axes.set_xticks([0, 32, 63])
        axes.set_yticks([0, 32, 63])
        axes.set_xlabel("position j", fontsize=9)
        axes.tick_params(labelsize=8)
    figure.axes[0].set_ylabel("position i", fontsize=9)
    figure.savefig(DOCS / "links.png", dpi=110)


if __name__ == "__main__":
    main()
