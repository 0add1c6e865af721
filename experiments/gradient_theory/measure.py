"""Numbers of docs/gradients.md beside those of the picture: in a minute and a half.

python experiments/gradient_theory/measure.py tolerance    # the network of the picture, 1e-4 and 1e-10
python experiments/gradient_theory/measure.py nuclei       # that of the package; needs its pictures
"""

import sys

import torch

from subquad import create_model, load_model
from subquad.data.shared import data_folder
from subquad.explain import gradients
from subquad.tasks.segmentation.data import SegmentationFolder
from subquad.tasks.segmentation.protocol import as_shown, protocol_for


def tolerance() -> None:
    for allowed in (1e-4, 1e-10):
        torch.manual_seed(0)
        network = create_model(
            "light_ham_van_tiny_d256",
            backbone="conv_tiny",
            ham_channels=32,
            channels=32,
            rank=4,
            num_classes=3,
        )
        print(f"tolerance {allowed:g}\n{gradients(network, torch.randn(2, 3, 41, 56), tolerance=allowed)}\n")


def nuclei() -> None:
    data = SegmentationFolder(data_folder("nuclei", None, who="this script", give="it there"), "val")
    network = load_model("nuclei")
    picture = as_shown(network, data[0].image[None, :, :128, :128], protocol_for(network.config))
    print(gradients(network, picture, tolerance=1e-4, most_steps=30_000))


if __name__ == "__main__":
    {"tolerance": tolerance, "nuclei": nuclei}[sys.argv[1]]()
