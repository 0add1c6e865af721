"""Search what would make a small HamGAN better, for each context; then train the best with other seeds.

SUBQUAD_DATA=... python experiments/hamgan_search/search.py    makes what is missing, a line for each

First each change alone, with seed 0. Then, for each context, all changes together that alone were better
by more than `CLEARLY`. The best of each, and the published one, are then trained with the seeds of `FRESH`.
The hamburger has more to be changed than its rivals, so its search is the longer one: if it wins by it, that
is no fair win, and if it loses nevertheless, it loses.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from subquad.engine.experiment_results import read_lines

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
RUN = HERE.parent / "hamgan" / "run.py"
CLEARLY = 0.25  # in proxy-FID: the largest deviation between the two seeds of the published three
FRESH = (1, 2)
START, AND = "as published", " + "
ONE_STEP = ("--model.grad_steps=0",)  # of the paper, whatever is the default
FASTER = ("--optimizer.generator_lr=1e-3", "--optimizer.discriminator_lr=2e-3")
SLOWER = ("--optimizer.generator_lr=2.5e-4", "--optimizer.discriminator_lr=5e-4")
CHANGES = {
    "none": {"twice the rates": FASTER, "half the rates": SLOWER},
    "attention": {"twice the rates": FASTER, "half the rates": SLOWER, "at 8 x 8": ("--side=8",)},
    "hamburger": {
        "ranks 8, 4": ("--model.generator_rank=8", "--model.discriminator_rank=4"),
        "2 in the graph": ("--model.grad_steps=2",),
        "a start that stays": ("--model.start=learned",),  # which the one-step gradient does not train
        "version 2": ("--model.version=v2",),
        "learned start, all 6 in the graph": ("--model.start=learned", "--model.grad_steps=6"),
        "all 6 in the graph": ("--model.grad_steps=6",),
        "3 steps": ("--model.steps=3", "--model.eval_steps=3"),
        "at 8 x 8": ("--side=8",),
        "ranks 64, 32": ("--model.generator_rank=64", "--model.discriminator_rank=32"),
        "half the rates": SLOWER,
        "twice the rates": FASTER,
    },
}


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


def together(context: str, distances: dict[str, float]) -> str:
    """Return the changes that are clearly better alone, the best first; of two that clash the better one."""
    kept: list[str] = []
    for name in sorted(CHANGES[context], key=lambda name: distances[name]):
        if distances[name] < distances[START] - CLEARLY:
            taken = {_option(said) for other in kept for said in CHANGES[context][other]}
            if not taken & {_option(said) for said in CHANGES[context][name]}:
                kept.append(name)
    return AND.join(kept)


def _option(said: str) -> str:
    """Return what an option is of: what starts and iterations may be together depends on each other."""
    name = said.partition("=")[0]
    return "iterations" if name in ("--model.steps", "--model.grad_steps", "--model.start") else name


def options_of(context: str, name: str) -> tuple[str, ...]:
    """Return the options of a trial."""
    parts = [] if name == START else name.split(AND)
    published = ONE_STEP if context == "hamburger" else ()
    return (*published, *(option for part in parts for option in CHANGES[context][part]))


def trials(lines: list[dict]) -> list[tuple[str, str, int]]:
    """Return what is missing next as context, name and seed; nothing if all is done."""
    done = {(line["case"], line["seed"]) for line in lines}

    def missing(wanted: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        return [one for one in wanted if (called(*one[:2]), one[2]) not in done]

    alone = missing([(context, name, 0) for context, of in CHANGES.items() for name in (START, *of)])
    if alone:
        return alone
    joined = {context: together(context, found(lines, context)) for context in CHANGES}
    several = missing([(context, name, 0) for context, name in joined.items() if AND in name])
    if several:
        return several
    best = {context: min(of := found(lines, context), key=of.__getitem__) for context in CHANGES}
    names = {context: dict.fromkeys([name, START]) for context, name in best.items()}
    return missing([(context, name, seed) for seed in FRESH for context in names for name in names[context]])


def train(
    context: str, name: str, seed: int, features: str, output: Path = RESULTS, more: Sequence[str] = ()
) -> None:
    """Train one, and add its line."""
    command = [
        sys.executable, str(RUN), f"--contexts={context}", f"--seeds={seed}", "--steps=1500",
        "--evaluations=3", f"--features={features}", f"--output={output}", "--grid=false",
        f"--called={called(context, name)}", *options_of(context, name), *more,
    ]  # fmt: skip
    subprocess.run(command, check=True)


def check_features(path: str, lines: list[dict]) -> None:
    """Raise ValueError if results are of other features: their distances compare with nothing of these."""
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
    others = {line["features"] for line in lines if "sha256" in line["features"]}
    if others and not any(digest in other for other in others):
        raise ValueError(
            f"{path} has the SHA-256 {digest}..., but the results are of {', '.join(others)}; give that file "
            f"as --features, or another --output."
        )


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--features", help="proxy features, one file for all; made if not given")
    p.add_argument("--feature_epochs", type=int, default=2)
    p.add_argument("--output", type=Path, default=RESULTS)
    p.add_argument("--most", type=int, default=1000, help="trainings")
    given, more = p.parse_known_args()
    if more and given.output == RESULTS:
        p.error(f"{' '.join(more)} makes other trainings than {RESULTS.name} has; give them an --output.")
    features = given.features
    for _ in range(given.most):
        lines = read_lines(given.output)
        missing = trials(lines)
        if not missing:
            break
        if features is None:
            features = str(Path(tempfile.mkdtemp()) / "features.safetensors")
            make = [f"--epochs={given.feature_epochs}", f"--output={features}"]
            command = [sys.executable, "-m", "subquad", "features", "--data.name=fashion_mnist", *make]
            subprocess.run(command, check=True)
        check_features(features, lines)
        context, name, seed = missing[0]
        print(f"{called(context, name)}, seed {seed}; {len(missing) - 1} more of this round", flush=True)
        train(context, name, seed, features, given.output, more)


if __name__ == "__main__":
    main()
