"""A folder of classes, and the command that trains on it."""

import numpy as np
from PIL import Image

NAMES = ("blue", "green", "red")  # of folders, in their order
COUNTS = {"train": 8, "val": 4}


def write_picture(path, channel, rng, size=(20, 24)):
    """Write noise that is brighter in one channel."""
    pixels = rng.integers(0, 120, (*size, 3), np.uint8)
    pixels[..., channel] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_classes(root, counts=COUNTS, names=NAMES, size=(20, 24)):
    """Write pictures into root/split/class; a class is a colour."""
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        for number, name in enumerate(names):
            for index in range(count):
                write_picture(
                    root / split / name / f"{split.strip('.')}{index}.png", 2 - number % 3, rng, size
                )
    return root


def fit_classes(data, output, *extra):
    return [
        "fit", "--model.name=conv_tiny", f"--data.root={data}", "--data.batch_size=8",
        "--trainer.max_epochs=2", "--trainer.accelerator=cpu", f"--output={output}", *extra,
    ]  # fmt: skip
