"""Draw docs/starts.png: where the columns of a dictionary go in six iterations, from three starts.

python experiments/starts/picture.py

Data of two channels in two clusters, rank 2. Columns have no length of their own, so each is drawn as its
direction: the angle over the iterations. Grey bands are where the data are.
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from subquad.ops import CD, NMF, VQ, decompose

DOCS = Path(__file__).parents[2] / "docs"
STEPS = 6
CLUSTERS = (25.0, 62.0)  # degrees


def data(seed: int) -> torch.Tensor:
    """Return (1, 2, 80): two bundles of directions, of lengths between 0.5 and 1.5."""
    draw = torch.Generator().manual_seed(seed)
    angles = torch.cat([center + 4 * torch.randn(40, generator=draw) for center in CLUSTERS]).deg2rad()
    lengths = 0.5 + torch.rand(80, generator=draw)
    return (lengths * torch.stack([angles.cos(), angles.sin()]))[None]


def path(x: torch.Tensor, start: torch.Tensor, solver) -> torch.Tensor:
    """Return the angles of both columns before and after each step, (steps + 1, 2)."""
    after = [decompose(x, start, solver, steps=steps).dictionary for steps in range(1, STEPS + 1)]
    return torch.stack([torch.atan2(d[0, 1], d[0, 0]).rad2deg() for d in (start[None], *after)])


def main() -> None:
    x, other = data(0), data(1)
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = {"NMF": NMF(), "CD, temperature 0.01": CD(), "VQ, temperature 0.1": VQ(temperature=0.1)}
    for axes, (name, solver) in zip(figure.subplots(1, 3, sharey=True), panels.items(), strict=True):
        starts = {
            "a draw": NMF().random_dictionary((2, 2), generator=torch.Generator().manual_seed(4)),
            "another draw": NMF().random_dictionary((2, 2), generator=torch.Generator().manual_seed(10)),
        }
        found = decompose(other, starts["a draw"], solver, steps=40).dictionary[0]
        starts["running: found in other data"] = torch.nn.functional.normalize(found, dim=0)
        for center in CLUSTERS:
            axes.axhspan(center - 8, center + 8, color="#e3e6ea", zorder=0)
        for (told, start), color in zip(starts.items(), ("#2563ab", "#d1495b", "#00798c"), strict=True):
            lines = axes.plot(range(STEPS + 1), path(x, start, solver), "o-", color=color, markersize=3)
            lines[0].set_label(told)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("iterations")
        axes.set_ylim(0, 90)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("direction of a column, degrees")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    figure.savefig(DOCS / "starts.png", dpi=110)


if __name__ == "__main__":
    main()
