"""Flicker and accuracy on made videos of Scenes, by the start of each frame's decomposition.

python experiments/video/run.py CHECKPOINT --output experiments/video/results.jsonl
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch

from subquad import load_model
from subquad.bench.environment import environment
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.experiment_results import add_line
from subquad.nn.sharing import evaluating_steps
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.video.flicker import Flicker, difference, unmoved_pixels
from subquad.tasks.segmentation.video.following import Follower

FRAMES, SIDE, SPEED = 30, 112, 1.2  # pixels a frame
WAYS = {  # whether a frame starts from the last, steps of those that do, steps of the others
    "each for itself": (False, None, None),
    "each for itself, 1 step": (False, None, 1),
    "last": (True, None, None),
    "last, 1 step": (True, 1, None),
    "last, 2 steps": (True, 2, None),
}


def clip(scene, kind, noise, rng):
    """Return frames (H, W, 3) and labels of a video: of a fixed camera, a pan, or two scenes in a row."""
    frames, truth = [], []
    for number in range(FRAMES):
        sample = scene[number >= FRAMES // 2] if kind == "cut" else scene[0]
        left = round(SPEED * number) if kind == "pan" else 24
        view = np.s_[24 : 24 + SIDE, left : left + SIDE]
        pixels = sample.image.movedim(0, -1).numpy()[view]
        noisy = pixels + rng.normal(0, noise, pixels.shape)
        frames.append(noisy.clip(0, 255).round().astype(np.uint8))
        truth.append(sample.labels[view])
    return frames, truth


def measure(network, clips, warm, steps, usual):
    flicker, matrix, begun = Flicker(), ConfusionMatrix(network.config.num_classes), time.perf_counter()
    for frames, truth in clips:
        follower, last = Follower(network, warm=warm, steps=steps), None
        for pixels, labels in zip(frames, truth, strict=True):
            change = None if last is None else difference(pixels, last)
            with evaluating_steps(network, usual):
                found = follower.labels(pixels, None if change is None else float(change.mean()))
            flicker.add(found, None if change is None else unmoved_pixels(change))
            matrix.update(torch.from_numpy(found)[None], labels[None])
            last = pixels
    seconds = (time.perf_counter() - begun) / sum(len(frames) for frames, _ in clips)
    return flicker.score, seconds, matrix.scores().mean_iou


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--noise", type=float, nargs="+", default=[2.0, 8.0], help="levels of 255 (sd)")
    parser.add_argument("--output", type=Path, help="file of lines, to which each is added")
    options = parser.parse_args()
    network = load_model(checkpoint_path(options.checkpoint))
    scenes = Scenes(options.clips + 1, seed=7, size=(160, 160), split="val")
    where = environment(torch.device("cpu")).provenance
    for noise, kind in itertools.product(options.noise, ("fixed", "pan", "cut")):
        rng = np.random.default_rng(0)
        clips = [clip((scenes[k], scenes[k + 1]), kind, noise, rng) for k in range(options.clips)]
        for way, how in WAYS.items():
            score, seconds, mean_iou = measure(network, clips, *how)
            row = {"case": way, "seed": 0, "noise": noise, "camera": kind, "flicker": 100 * score}
            row |= {"mean_iou": 100 * mean_iou, "ms": 1000 * seconds}
            print(
                "| {noise:g} | {camera} | {case} | {flicker:.3f} % | {mean_iou:.1f} | {ms:.0f} |".format(
                    **row
                ),
                flush=True,
            )
            if options.output:
                add_line(options.output, row | where)


if __name__ == "__main__":
    main()
