"""Adding and Temporal Order: what mixes, how it is read out, and what a network without mixing does.

python experiments/sequences/run.py --tasks adding order --lengths 128 --mixers paramixer none

Every run adds a line to experiments/sequences/results.jsonl; a run that is there is not run again.
"""

import argparse
import itertools
import json
import platform
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from subquad.cli.fit_sequence import fit, parser

HERE = Path(__file__).parent
RECIPES = HERE.parents[1] / "recipes" / "sequences"


def run(task: str, length: int, mixer: str, readout: str, seed: int, extra: list[str]) -> dict:
    p = parser()
    with tempfile.TemporaryDirectory() as folder:
        options = p.instantiate(
            p.parse_args(
                [
                    f"--config={RECIPES / f'{task}_cls.yaml'}",
                    f"--data.length={length}",
                    f"--model.mixer={mixer}",
                    f"--model.pooling={readout}",
                    f"--seed={seed}",
                    *extra,
                ]
            )
        )
        started = time.monotonic()
        scores = fit(options, Path(folder))
    return {
        "error": 1 - scores.accuracy,
        "loss": scores.loss,
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tasks", nargs="+", default=["adding", "order"])
    arguments.add_argument("--lengths", type=int, nargs="+", default=[128])
    arguments.add_argument("--mixers", nargs="+", default=["paramixer", "none"])
    arguments.add_argument("--readouts", nargs="+", default=["cls"])
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given, extra = arguments.parse_known_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    lines = given.output.read_text().splitlines() if given.output.exists() else []
    names = ("task", "length", "mixer", "readout", "seed", "options")
    done = [[json.loads(line)[name] for name in names] for line in lines]
    choices = (given.tasks, given.lengths, given.mixers, given.readouts, given.seeds)
    for chosen in itertools.product(*choices):
        if [*chosen, extra] in done:
            continue
        result = dict(zip(names, [*chosen, extra], strict=True)) | run(*chosen, extra)
        result |= {
            "commit": commit.stdout.strip(),
            "device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
        }
        with given.output.open("a") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
