"""The picture of the README: photographs, what the ready network says, and what its ham looks at.

python experiments/nuclei/picture.py NAME NAME ...     # of $SUBQUAD_DATA/nuclei/val/images
"""

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image
from torch.nn import functional as F

from subquad import load_model
from subquad.data.pictures import read_image
from subquad.data.shared import data_folder
from subquad.engine.preprocess import preprocess
from subquad.explain.code_maps import code_maps, telling_columns
from subquad.tasks.segmentation.drawing import overlay_picture, palette_of
from subquad.tasks.segmentation.labels import predict_labels

SIDE, GAP = 256, 6
TARGET = Path(__file__).parents[2] / "docs" / "nuclei.jpg"


def main() -> None:
    network = load_model("nuclei")
    folder = data_folder("nuclei", None, who="this script", give="it there") / "val" / "images"
    rows = []
    for name in sys.argv[1:]:
        image = read_image(folder / f"{name}.jpg")[:, :SIDE, :SIDE]
        labels = predict_labels(network, image[None])[0]
        maps = code_maps(network, preprocess(image[None], network.config))
        telling = telling_columns(maps, labels[None], network.config.num_classes).argsort(descending=True)
        large = F.interpolate(maps[:, telling[:2]], (SIDE, SIDE), mode="bilinear")[0]
        overlay = overlay_picture(image, labels, palette_of(network.config), 0.8)
        rows.append([image.movedim(0, -1).numpy(), np.asarray(overlay), *map(coloured, large)])
    Image.fromarray(joined(rows)).save(TARGET, quality=88)
    print(TARGET)


def coloured(values: torch.Tensor) -> np.ndarray:
    return (255 * colormaps["magma"]((values / values.max()).numpy())[..., :3]).astype(np.uint8)


def joined(rows: list[list[np.ndarray]]) -> np.ndarray:
    step = SIDE + GAP
    canvas = np.full((len(rows) * step - GAP, len(rows[0]) * step - GAP, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            canvas[y * step : y * step + SIDE, x * step : x * step + SIDE] = tile
    return canvas


if __name__ == "__main__":
    main()
