"""Sixty photographs with the plan, and with the recipe set by hand; both scored on the pictures that measure.

SUBQUAD_DATA=... python experiments/photos60/run.py          adds lines to results.jsonl

What is not known here goes to `subquad fit`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from subquad.bench.environment import environment
from subquad.engine.experiment_results import add_line

HERE = Path(__file__).parent


def subquad(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "subquad", *map(str, arguments)], check=True)


def mean_iou(run: Path, *options: str) -> float:
    """Return what `subquad test` says of a run."""
    subquad("test", run, "--json", run / "scores.json", *options)
    return json.loads((run / "scores.json").read_text())["mean_iou"]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given, extra = p.parse_known_args()
    where = environment(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos60"
        subprocess.run([sys.executable, HERE / "make.py", photos], check=True)
        by_hand = ["--config", HERE / "by_hand.yaml", "--data.root", photos]
        for case, ours in {"the plan": [photos], "set by hand": by_hand}.items():
            run, begun = Path(folder) / case.replace(" ", "_"), time.monotonic()
            subquad("fit", *ours, "--output", run, *extra)
            line = {"case": case, "seed": 0, "command_seconds": round(time.monotonic() - begun, 1)}
            line |= {"kept": 100 * mean_iou(run), "options": extra}
            line["mean_iou"] = mean_iou(run, f"--data.root={photos}_val")
            add_line(given.output, line | where.provenance)


if __name__ == "__main__":
    main()
