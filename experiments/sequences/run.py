"""Adding and Temporal Order: what mixes, how it is read out, and what a network without mixing does.

python experiments/sequences/run.py --tasks adding order --lengths 128 --mixers paramixer none

Every run adds a line to experiments/sequences/results.jsonl; a run that is there is not run again.
"""

import argparse
import itertools
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from subquad.tasks.fitting import fit, fit_parser
from subquad.tasks.sequences.task import TASK

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "rivals"))

import subquad_rivals  # noqa: E402, F401  registers them

RECIPES = HERE.parents[1] / "recipes" / "sequences"


def run(
    task: str, length: int, mixer: str, readout: str, seed: int, extra: list[str], first: int | None = None
) -> dict:
    p = fit_parser(TASK)
    arguments = [
        f"--config={RECIPES / f'{task}_cls.yaml'}",
        f"--model.context={mixer}",
        f"--model.pooling={readout}",
        f"--seed={seed}",
        *extra,
    ]
    weights: list[str] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for shorter in doubled(first, length):
            # The network of the whole length from the start on, so that every weight fits later.
            stage = [f"--model.length={length}", f"--data.length={shorter}", "--data.samples=12800"]
            if shorter < 512:
                stage.append("--compile=false")  # compiling takes longer than they do
            output = Path(folder) / str(shorter)
            fit(TASK, p.instantiate(p.parse_args([*arguments, *weights, *stage])), output)
            weights = [f"--model.weights={output / 'best.safetensors'}"]
            torch.compiler.reset()  # or the next length is compiled for any length, which is slower
        options = p.parse_args([*arguments, *weights, f"--data.length={length}"])
        scores = fit(TASK, p.instantiate(options), Path(folder) / "last").scores
    return {
        "error": 1 - scores.accuracy,
        "loss": scores.loss,
        "seconds": round(time.monotonic() - started, 1),
    }


def doubled(first: int | None, length: int) -> list[int]:
    """Return the lengths to train at before `length`: `first`, twice that, and so on."""
    lengths = []
    while first is not None and first < length:
        lengths.append(first)
        first *= 2
    return lengths


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tasks", nargs="+", default=["adding", "order"])
    arguments.add_argument("--lengths", type=int, nargs="+", default=[128])
    arguments.add_argument("--mixers", nargs="+", default=["paramixer", "none"])
    arguments.add_argument("--readouts", nargs="+", default=["cls"])
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument(
        "--first", type=int, help="Train at this length first, then at twice that, and so on."
    )
    arguments.add_argument("--output", type=Path, default=HERE / "results.jsonl")
    given, extra = arguments.parse_known_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    lines = given.output.read_text().splitlines() if given.output.exists() else []
    names = ("task", "length", "mixer", "readout", "seed", "options")
    done = [[json.loads(line)[name] for name in names] for line in lines]
    stages = [] if given.first is None else [f"--first={given.first}"]
    choices = (given.tasks, given.lengths, given.mixers, given.readouts, given.seeds)
    for chosen in itertools.product(*choices):
        if [*chosen, [*stages, *extra]] in done:
            continue
        result = dict(zip(names, [*chosen, [*stages, *extra]], strict=True))
        result |= run(*chosen, extra, given.first)
        result |= {
            "commit": commit.stdout.strip(),
            "device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
        }
        with given.output.open("a") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
