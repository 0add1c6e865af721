"""Validation scenes as files.

python experiments/tiles/write_scenes.py FOLDER       writes 100 of 160 x 160 into FOLDER/images and /labels
"""

import sys
from pathlib import Path

from PIL import Image

from subquad.tasks.segmentation.data.scenes import Scenes

folder = Path(sys.argv[1])
scenes = Scenes(100, seed=0, size=(160, 160), split="val")
for kind in ("images", "labels"):
    (folder / kind).mkdir(parents=True, exist_ok=True)
for index in range(len(scenes)):
    image, labels, _ = scenes[index]
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / "images" / f"{index:03d}.png")
    Image.fromarray(labels.byte().numpy()).save(folder / "labels" / f"{index:03d}.png")
