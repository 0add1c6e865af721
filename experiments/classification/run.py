"""The small classifier on CIFAR-10 with and without a hamburger, two seeds each.

SUBQUAD_DATA=... python experiments/classification/run.py     writes results.json

Each run is a process of its own with one thread, one after the other. The test split is scored once, at the
end of training: nothing is chosen by it. What is not known here goes to `subquad fit`.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from subquad import load_model
from subquad.base.files import write_whole

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECIPES = {"none": "cifar10.yaml", "hamburger": "cifar10_hamburger.yaml"}


def run(context: str, seed: int, epochs: int, extra: list[str]) -> dict:
    """Train one network, and return its scores on the test split at the end."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            sys.executable, "-m", "subquad", "fit",
            f"--config={ROOT / 'recipes' / 'classification' / RECIPES[context]}",
            f"--seed={seed}", f"--output={folder}/run", f"--trainer.max_epochs={epochs}",
            f"--trainer.check_val_every_n_epoch={epochs}", *extra,
        ]  # fmt: skip
        started, cpu = time.perf_counter(), os.times().children_user
        subprocess.run(arguments, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        seconds, cpu = time.perf_counter() - started, os.times().children_user - cpu
        with next(Path(folder, "run", "logs").glob("*/metrics.csv")).open() as file:
            last = [row for row in csv.DictReader(file) if row["val/top1"]][-1]
        network = load_model(Path(folder, "run", "last.safetensors"))
    return {
        "context": context,
        "seed": seed,
        "parameters": sum(p.numel() for p in network.parameters()),
        "step": int(last["step"]) + 1,
        **{name: float(last[f"val/{name}"]) for name in ("top1", "top5", "f1", "loss")},
        "seconds": round(seconds),
        "cpu_seconds": round(cpu),
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    p.add_argument("--contexts", nargs="+", choices=RECIPES, default=list(RECIPES))
    p.add_argument("--output", type=Path, default=HERE / "results.json")
    given, extra = p.parse_known_args()
    runs = []
    for seed in given.seeds:
        for context in given.contexts:
            runs.append(run(context, seed, given.epochs, extra))
            of_each = {
                name: [one["top1"] for one in runs if one["context"] == name] for name in given.contexts
            }
            result = {
                "runs": runs,
                "mean_top1": {name: statistics.mean(found) for name, found in of_each.items() if found},
                "epochs": given.epochs,
                "extra": extra,
                "torch": torch.__version__,
                "device": platform.processor() or platform.machine(),
            }
            write_whole(given.output, f"{json.dumps(result, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
