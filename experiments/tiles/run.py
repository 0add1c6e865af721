"""Whole images against tiles, with a dictionary of their own and with a shared one.

python experiments/tiles/run.py CHECKPOINT IMAGES --labels LABELS       adds lines to results.jsonl

The images must be small enough that the whole of one fits: that is what the tiles are compared with.
"""

import argparse
import ctypes
import platform
import subprocess
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad import load_model
from subquad.data.pictures import read_image
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.experiment_results import add_line
from subquad.tasks.segmentation.commands.predict import find_images
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data.labels import LabelSet
from subquad.tasks.segmentation.data.masks import read_mask
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.tiles import predict_tiles
from subquad.tasks.segmentation.tiling import Tiling

HERE = Path(__file__).parent


class Way:
    """One way to segment an image, and what was seen of it."""

    def __init__(self, name: str, tiling: Tiling | None, classes: int) -> None:
        self.name, self.tiling = name, tiling
        self.confusion = ConfusionMatrix(classes)
        self.images, self.pixels, self.unlike_whole, self.seconds, self.peak = 0, 0, 0, 0.0, 0.0
        self.tiles, self.seam_pixels, self.seam_distance, self.seam_unlike = 0, 0, 0.0, 0.0

    def predict(self, network: torch.nn.Module, image: Tensor) -> Tensor:
        device = next(network.parameters()).device
        before = reset_peak(device)
        started = time.monotonic()
        if self.tiling is None:
            labels = predict_labels(network, image[None])[0].cpu()
        else:
            found = predict_tiles(network, image, self.tiling)
            labels = found.labels
            self.tiles += found.tiles
            if found.seam_pixels:
                self.seam_pixels += found.seam_pixels
                self.seam_distance += found.seam_distance * found.seam_pixels
                self.seam_unlike += found.seam_disagreement * found.seam_pixels
        self.seconds += time.monotonic() - started
        self.peak = max(self.peak, peak(device) - before)
        return labels

    def count(self, labels: Tensor, whole: Tensor, truth: Tensor | None) -> None:
        self.images += 1
        self.pixels += labels.numel()
        self.unlike_whole += int((labels != whole).sum())
        if truth is not None:
            self.confusion.update(labels, truth)

    def result(self) -> dict:
        seams = max(self.seam_pixels, 1)
        scores = self.confusion.scores() if self.confusion.counts.any() else None
        return {
            "way": self.name,
            "images": self.images,
            "tiles": self.tiles,
            "unlike_whole": self.unlike_whole / self.pixels,
            "seam_pixels": self.seam_pixels,
            "seam_distance": self.seam_distance / seams,
            "seam_disagreement": self.seam_unlike / seams,
            "mean_iou": scores.mean_iou if scores else None,
            "pixel_accuracy": scores.pixel_accuracy if scores else None,
            "seconds_per_image": self.seconds / self.images,
            "peak_mib": self.peak / 2**20,
        }


def reset_peak(device: torch.device) -> float:
    """Start measuring the peak of memory; returns what is in use now, in bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # else what the last way freed still counts as in use
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark of this process
    return peak(device)


def peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in text)
    return 1024.0 * int(line.split()[1])


def zoomed(pixels: Tensor, zoom: float, mode: str) -> Tensor:
    if zoom == 1:
        return pixels
    size = [round(zoom * side) for side in pixels.shape[-2:]]
    floats = pixels.view(1, -1, *pixels.shape[-2:]).float()
    options = {"align_corners": False} if mode == "bilinear" else {}
    result = F.interpolate(floats, size=size, mode=mode, **options).round().byte()
    return result.view(*pixels.shape[:-2], *size)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint")
    arguments.add_argument("images", type=Path)
    arguments.add_argument("--labels", type=Path, help="folder of masks of the same names")
    arguments.add_argument("--zoom", type=float, default=2.0, help="enlarge the images by this")
    arguments.add_argument("--stitch", type=int, default=1, help="images beside each other in one")
    arguments.add_argument("--tile", type=int, default=256)
    arguments.add_argument("--overlap", type=float, default=0.25)
    arguments.add_argument("--most", type=int, default=40, help="images at most")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--name", default="", help="of the images, in the tables")
    arguments.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given = arguments.parse_args()
    network = load_model(checkpoint_path(given.checkpoint)).to(given.device).eval()
    config = network.config
    generic = LabelSet.generic(config.num_classes)
    palette = config.palette or generic.palette
    black = (0, 0, 0)
    classes = LabelSet(config.class_names or generic.names, palette, None if black in palette else black)
    ways = [
        Way("whole image", None, config.num_classes),
        *(
            Way(
                name,
                Tiling(tile=given.tile, overlap=given.overlap, share_dictionary=share),
                config.num_classes,
            )
            for name, share in {"tiles": False, "tiles, shared dictionary": True}.items()
        ),
    ]
    files = find_images(given.images)
    files = files[:: max(1, len(files) // given.most)][: given.most]
    for start in range(0, len(files) - given.stitch + 1, given.stitch):
        group = files[start : start + given.stitch]
        image = torch.cat([zoomed(read_image(f), given.zoom, "bilinear") for f in group], dim=-1)
        truth = None
        if given.labels:
            masks = [read_mask(given.labels / f"{f.stem}.png", classes) for f in group]
            truth = torch.cat([zoomed(mask, given.zoom, "nearest") for mask in masks], dim=-1)
        answers = [way.predict(network, image) for way in ways]
        for way, answer in zip(ways, answers, strict=True):
            way.count(answer, answers[0], truth)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    options = {
        name: value for name, value in vars(given).items() if name in ("zoom", "stitch", "tile", "overlap")
    }
    results = [way.result() for way in ways]
    where = {
        "commit": commit.stdout.strip(),
        "device": torch.cuda.get_device_name() if given.device.startswith("cuda") else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    for found in results:
        about = {"case": found["way"], "pictures": given.name or str(given.images), "seed": 0, **options}
        add_line(given.output, about | {k: v for k, v in found.items() if k != "way"} | where)
    print(f"{len(files)} images; {options}\n")
    print("| way | unlike whole | seam distance | seam pixels unlike | mean IoU | s / image | peak MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for r in results:
        seams = (
            ("", "")
            if not r["seam_pixels"]
            else (f"{r['seam_distance']:.4f}", f"{100 * r['seam_disagreement']:.2f} %")
        )
        score = "" if r["mean_iou"] is None else f"{100 * r['mean_iou']:.2f}"
        print(
            f"| {r['way']} | {100 * r['unlike_whole']:.2f} % | {seams[0]} | {seams[1]} | {score} | "
            f"{r['seconds_per_image']:.2f} | {r['peak_mib']:.0f} |"
        )


if __name__ == "__main__":
    main()
