"""Draw docs/decomposition.png: X = D C + E along one line of a picture, in the network for nuclei.

SUBQUAD_DATA=... python experiments/mixers/decomposition.py [--picture 8]

X, D and C are those of the whole picture; shown of X, C and E are the positions of its middle line. Channels
are sorted by the column of D in which they are largest, which changes nothing but makes them readable.
"""

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from subquad import load_model
from subquad.data.shared import data_folder
from subquad.tasks.segmentation.codes import codes_of
from subquad.tasks.segmentation.data import SegmentationFolder

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--picture", type=int, default=17, help="of the validation split")
    given = p.parse_args()
    data = SegmentationFolder(data_folder("nuclei", None, who="this script", give="it there"), "val")
    image = data[given.picture].image
    codes = codes_of(load_model("nuclei").eval(), image, None, keeps_features=True)
    (dictionary, found), (height, width) = (part[0] for part in codes.factors), codes.grid
    line = height // 2 * width + torch.arange(width)
    x, coded = codes.features[0][:, line], found[:, line]
    order = dictionary.argmax(1).argsort(stable=True)
    columns = dictionary.square().sum(0).sqrt() * found.square().sum(1).sqrt()  # how much each brings
    ranked = columns.argsort(descending=True)
    x, dictionary, coded = x[order], dictionary[order][:, ranked], coded[ranked]
    rebuilt = dictionary @ coded
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    grid = GridSpec(1, 6, figure, width_ratios=[3, 3, 1.2, 3, 3, 3])
    photo = figure.add_subplot(grid[0])
    photo.imshow(image.movedim(0, -1).byte())
    photo.axhline(image.shape[1] / 2, color="#ffcc00", linewidth=1)
    photo.set_title("picture, its middle line", fontsize=10)
    photo.axis("off")
    shades = {"cmap": "Blues", "aspect": "auto", "interpolation": "nearest"}
    most = float(x.quantile(0.99))
    panels = (
        ("X", x, "channels", most),
        ("D", dictionary, "", float(dictionary.quantile(0.99))),
        ("C", coded, "columns of D", float(coded.quantile(0.99))),
        ("D C", rebuilt, "", most),
        ("|E| = |X - D C|", (x - rebuilt).abs(), "", most),
    )
    for place, (name, matrix, label, top) in enumerate(panels, start=1):
        axes = figure.add_subplot(grid[place])
        axes.imshow(matrix, vmin=0, vmax=top, **shades)
        axes.set_title(f"{name}, {matrix.shape[0]} x {matrix.shape[1]}", fontsize=10)
        axes.set_ylabel(label, fontsize=9)
        axes.set_xlabel("columns" if name == "D" else "positions", fontsize=9)
        axes.tick_params(labelsize=8)
    figure.savefig(DOCS / "decomposition.png", dpi=110)
    left = float((codes.features[0] - codes.factors.dictionary[0] @ found).norm() / codes.features[0].norm())
    print(f"left out of the whole picture: {100 * left:.0f} %")


if __name__ == "__main__":
    main()
