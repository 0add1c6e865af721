"""Scenes with the ham, with self-attention in its place, and with nothing there: three seeds each.

python experiments/scenes/run.py            writes experiments/scenes/results.json
"""

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from subquad.tasks.fitting import fit, fit_parser
from subquad.tasks.segmentation.task import TASK

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "recipes" / "scenes_light_ham.yaml"
HAMS = {
    "none": [],
    "hamburger": [],
    # Four heads: with one, attention needs half the learning rate to learn as much.
    "attention": ["--model.heads=4"],
    "hamburger, one-step gradient": ["--model.grad_steps=0"],
}


def run(name: str, seed: int, extra: list[str]) -> dict:
    p = fit_parser(TASK)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            f"--config={RECIPE}",
            f"--model.context={name.split(',')[0]}",
            f"--seed={seed}",
            *HAMS[name],
        ]
        options = p.instantiate(p.parse_args([*arguments, *extra]))
        started = time.monotonic()
        scores = fit(TASK, options, Path(folder)).scores
    return {
        "ham": name,
        "seed": seed,
        "mean_iou": scores.mean_iou,
        "iou": scores.iou.tolist(),
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--hams", nargs="+", default=list(HAMS)[:3], choices=list(HAMS))
    arguments.add_argument("--output", default=str(HERE / "results.json"))
    given, extra = arguments.parse_known_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    runs = []
    for seed in given.seeds:
        for name in given.hams:
            runs.append(run(name, seed, extra))
            result = {
                "commit": commit.stdout.strip(),
                "device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
                "torch": torch.__version__,
                "recipe": RECIPE.name,
                "options": extra,
                "runs": runs,
            }
            Path(given.output).write_text(json.dumps(result, indent=1) + "\n")
    for name in given.hams:
        values = [100 * r["mean_iou"] for r in runs if r["ham"] == name]
        spread = statistics.stdev(values) if len(values) > 1 else float("nan")
        seconds = statistics.median(r["seconds"] for r in runs if r["ham"] == name)
        print(f"| {name} | {statistics.mean(values):.1f} ± {spread:.1f} | {seconds:.0f} s |")


if __name__ == "__main__":
    main()
