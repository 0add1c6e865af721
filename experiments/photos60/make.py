"""Sixty photographs as a user has them: of CamVid, drawn by a seed, the eleven classes merged into four.

python experiments/photos60/make.py photos60          # and photos60_val, the 101 pictures that measure

The folder holds `images`, `masks` and `classes.json`, no split. SUBQUAD_DATA names the folder of CamVid.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from subquad.data.shared import data_folder

MERGED = {
    "ground": ("Road", "Pavement"),
    "structure": ("Building", "Pole", "SignSymbol", "Fence"),
    "nature": ("Sky", "Tree"),
    "mover": ("Car", "Pedestrian", "Bicyclist"),
}
IGNORED = 255


def merging(classes: list[str]) -> np.ndarray:
    """Return the new value of each old one."""
    table = np.full(256, IGNORED, np.uint8)
    for value, names in enumerate(MERGED.values()):
        for name in names:
            table[classes.index(name)] = value
    return table


def copy(pictures: list[Path], to: Path, table: np.ndarray) -> None:
    """Write pictures and their merged masks."""
    for part in ("images", "masks"):
        (to / part).mkdir(parents=True)
    for picture in pictures:
        mask = np.asarray(Image.open(picture.parents[1] / "labels" / f"{picture.stem}.png"))
        shutil.copyfile(picture, to / "images" / picture.name)
        Image.fromarray(table[mask]).save(to / "masks" / f"{picture.stem}.png")


def main() -> None:
    camvid = Path(data_folder("camvid", None, who="this script", give="it there"))
    table = merging(json.loads((camvid / "classes.json").read_text())["classes"])
    photos = Path(sys.argv[1])
    train, val = (sorted((camvid / split / "images").iterdir()) for split in ("train", "val"))
    drawn = np.random.default_rng(0).choice(len(train), 60, replace=False)
    measured = photos.with_name(f"{photos.name}_val")
    copy([train[index] for index in sorted(drawn)], photos, table)
    copy(val, measured / "val", table)
    for folder in (photos, measured):
        (folder / "classes.json").write_text(json.dumps({"classes": [*MERGED]}))


if __name__ == "__main__":
    main()
