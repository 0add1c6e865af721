"""Search the best HamGAN of each context in the same way, then train it with seeds it was not chosen by.

SUBQUAD_DATA=... python experiments/hamgan_search/search.py    makes what is missing, a line for each

First each change alone, with seed 0. Then, for each context, all changes that alone were better by more than
`CLEARLY`, together. The best of each context is then trained with the seeds of `FRESH`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from subquad.engine.experiment_results import read_lines

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
RUN = HERE.parent / "hamgan" / "run.py"
CLEARLY = 0.15  # in proxy-FID; the deviation between seeds is about 0.1
FRESH = (1, 2)
START, TOGETHER = "as published", "together"
ONE_STEP = ("--model.grad_steps=0",)  # of the paper, whatever is the default
FASTER = ("--optimizer.generator_lr=1e-3", "--optimizer.discriminator_lr=2e-3")
SLOWER = ("--optimizer.generator_lr=2.5e-4", "--optimizer.discriminator_lr=5e-4")
CHANGES = {
    "none": {"twice the rates": FASTER, "half the rates": SLOWER},
    "attention": {"twice the rates": FASTER, "half the rates": SLOWER, "at 8 x 8": ("--side=8",)},
    "hamburger": {
        "ranks 8, 4": ("--model.generator_rank=8", "--model.discriminator_rank=4"),
        "2 in the graph": ("--model.grad_steps=2",),
        "learned start": ("--model.start=learned",),
        "version 2": ("--model.version=v2",),
        "all 6 in the graph": ("--model.grad_steps=6",),
        "at 8 x 8": ("--side=8",),
        "3 steps": ("--model.steps=3",),
        "ranks 64, 32": ("--model.generator_rank=64", "--model.discriminator_rank=32"),
        "half the rates": SLOWER,
        "twice the rates": FASTER,
    },
}
# Of two changes that cannot go together the better one goes on.
EITHER = (
    {"2 in the graph", "all 6 in the graph"},
    {"all 6 in the graph", "3 steps"},
    {"ranks 64, 32", "ranks 8, 4"},
    {"twice the rates", "half the rates"},
)


def called(context: str, name: str) -> str:
    """Return what lines call a trial."""
    return f"{context}, {name}"


def found(lines: list[dict], context: str) -> dict[str, float]:
    """Return the proxy-FIDs of seed 0, by what was changed."""
    begin = called(context, "")
    return {
        line["case"].removeprefix(begin): line["distance"]
        for line in lines
        if line["case"].startswith(begin) and line["seed"] == 0
    }


def helpful(distances: dict[str, float]) -> list[str]:
    """Return the changes that are clearly better alone, the best first."""
    least = distances.get(START, 0) - CLEARLY
    ranked = sorted(distances, key=distances.__getitem__)
    kept: list[str] = []
    for name in ranked:
        rivals = set().union(*(pair for pair in EITHER if name in pair))
        if distances[name] < least and name != TOGETHER and not rivals & {*kept}:
            kept.append(name)
    return kept


def options_of(context: str, name: str, distances: dict[str, float]) -> tuple[str, ...]:
    """Return the options of a trial."""
    parts = [] if name == START else helpful(distances) if name == TOGETHER else [name]
    published = ONE_STEP if context == "hamburger" else ()
    return (*published, *(option for part in parts for option in CHANGES[context][part]))


def trials(lines: list[dict]) -> list[tuple[str, str, int]]:
    """Return what is missing next as context, name and seed; nothing if all is done."""
    done = {(line["case"], line["seed"]) for line in lines}
    first = [(context, name, 0) for context, of in CHANGES.items() for name in (START, *of)]
    missing = [one for one in first if (called(*one[:2]), 0) not in done]
    if missing:
        return missing
    for context in CHANGES:
        several = len(helpful(found(lines, context))) > 1
        if several and (called(context, TOGETHER), 0) not in done:
            missing.append((context, TOGETHER, 0))
    if missing:
        return missing
    best = {context: min(of, key=of.__getitem__) for context in CHANGES if (of := found(lines, context))}
    return [
        (context, name, seed)
        for seed in FRESH
        for context, name in best.items()
        if (called(context, name), seed) not in done
    ]


def train(
    context: str, name: str, seed: int, features: str, output: Path = RESULTS, more: Sequence[str] = ()
) -> None:
    """Train one, and add its line."""
    command = [
        sys.executable, str(RUN), f"--contexts={context}", f"--seeds={seed}", "--steps=1500",
        "--evaluations=3",
        f"--features={features}", f"--output={output}", f"--called={called(context, name)}",
        *options_of(context, name, found(read_lines(output), context)), *more,
    ]  # fmt: skip
    subprocess.run(command, check=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--features", help="proxy features, one file for all; made if not given")
    p.add_argument("--feature_epochs", type=int, default=2)
    p.add_argument("--output", type=Path, default=RESULTS)
    p.add_argument("--most", type=int, default=1000, help="trainings")
    given, more = p.parse_known_args()
    features = given.features
    for _ in range(given.most):
        missing = trials(read_lines(given.output))
        if not missing:
            break
        if features is None:
            features = str(Path(tempfile.mkdtemp()) / "features.safetensors")
            make = [f"--epochs={given.feature_epochs}", f"--output={features}"]
            command = [sys.executable, "-m", "subquad", "features", "--data.name=fashion_mnist", *make]
            subprocess.run(command, check=True)
        context, name, seed = missing[0]
        print(f"{called(context, name)}, seed {seed}; {len(missing) - 1} more of this round", flush=True)
        train(context, name, seed, features, given.output, more)


if __name__ == "__main__":
    main()
