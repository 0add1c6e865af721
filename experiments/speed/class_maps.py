"""From logits to classes: all logits of an image and their largest, beside `class_map`.

    OMP_NUM_THREADS=2 SUBQUAD_DATA=... python experiments/speed/class_maps.py     docs/inference.md

Random weights; the photograph is one of CamVid's, resized.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as V

from subquad.base.allocation import keep_freed_memory
from subquad.bench import Watch, side_by_side
from subquad.models import create_model
from subquad.models.segmentation.class_map import class_map

RESULTS = Path(__file__).with_suffix(".json")
CASES = (
    ("light_ham_van_tiny_d256", 150, "photograph", (512, 512)),
    ("light_ham_van_tiny_d256", 150, "noise", (512, 512)),
    ("hamnet_van_tiny_os8", 150, "photograph", (509, 507)),
    ("light_ham_van_tiny_d256", 11, "photograph", (360, 480)),
    ("light_ham_van_tiny_d256", 11, "photograph", (1024, 2048)),
    ("light_ham_van_tiny_d256", 3, "photograph", (256, 256)),
)


def picture(kind: str, size: tuple[int, int]) -> Tensor:
    """Return a normalised image (1, 3, H, W)."""
    if kind == "noise":
        return torch.randn(1, 3, *size)
    first = next(iter(sorted((Path(os.environ["SUBQUAD_DATA"]) / "camvid").rglob("*.jpg"))))
    pixels = V.pil_to_tensor(Image.open(first).convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR))
    return ((pixels.float() - 120) / 58)[None]


def main() -> None:
    """Measure all cases and print the rows."""
    keep_freed_memory()
    rows = []
    for name, classes, kind, size in CASES:
        torch.manual_seed(0)
        network = create_model(name, num_classes=classes).eval().to(memory_format=torch.channels_last)
        image = picture(kind, size).contiguous(memory_format=torch.channels_last)
        watch = Watch(image.device)
        with torch.inference_mode():
            coarse = network.coarse(image)
            ways = {
                "all logits": lambda n=network, x=image: n(x).argmax(1),
                "class_map": lambda n=network, x=image: n.class_map(x),
                "resized, argmax": lambda c=coarse: c.resized().argmax(1),
                "classes alone": lambda c=coarse: class_map(c),
            }
            times = side_by_side(ways, repeats=10, device=image.device)
            assert torch.equal(network(image).argmax(1), network.class_map(image).long())
        rows.append(
            {
                "network": name, "classes": classes, "picture": kind, "size": size,
                "ms": {way: asdict(t) for way, t in times.items()},
                "environment": asdict(watch.environment(times)),
            }
        )  # fmt: skip
        first, second, third, fourth = (f"{times[way].p50:.3g}" for way in ways)
        print(
            f"| `{name}`, {classes} classes | {kind}, {size[0]} x {size[1]} | {first} | {second} | {third} | "
            f"{fourth} |",
            flush=True,
        )
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
