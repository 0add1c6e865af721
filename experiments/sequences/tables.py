"""Print results.jsonl as tables: python experiments/sequences/tables.py

The first holds trainings on sequences of one length, by what is read out; the second those that began with
short sequences, 16 positions first; with `all`, every run, the trials too.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

TASKS = {"adding": "Adding", "order": "Temporal\N{NO-BREAK SPACE}Order"}
READOUTS = {"cls": "one position", "flatten": "all, side by side", "mean": "their mean"}
SAMPLES, BATCH, SHORT = "--data.samples=", "--data.batch_size=", "--first=16"
Run = dict[str, Any]
RUNS = [json.loads(line) for line in (Path(__file__).parent / "results.jsonl").read_text().splitlines()]


def option(run: Run, name: str) -> str:
    return next((o.removeprefix(name) for o in run["options"] if o.startswith(name)), "")


def trained_on(run: Run) -> str:
    """Return how many sequences of the whole length it was trained on."""
    batch = option(run, BATCH)
    return f"{int(option(run, SAMPLES) or 204_800):,}" + f" in batches of {batch}" * bool(batch)


def is_trial(run: Run) -> bool:
    """Say whether it has an option that none of the tables is about."""
    known = ("--compile", SAMPLES, BATCH, SHORT)
    return any(not o.startswith(known) for o in run["options"])


def errors(runs: list[Run]) -> str:
    """Return the error of each seed, and mean and deviation unless all are alike."""
    each = [f"{100 * run['error']:.1f}" for run in sorted(runs, key=lambda run: run["seed"])]
    if len(set(each)) < 2:
        return ", ".join(each)
    values = [100 * run["error"] for run in runs]
    spread = f"({statistics.mean(values):.1f} ± {statistics.stdev(values):.1f})"
    return f"{', '.join(each)} {spread.replace(' ', chr(0xA0))}"  # in one piece where a cell is narrow


def grouped(runs: list[Run]) -> dict[tuple[Any, ...], list[Run]]:
    groups = defaultdict(list)
    for run in runs:
        groups[run["task"], run["length"], run["mixer"], trained_on(run)].append(run)
    mixers = ["paramixer", "none", "transformer", "linformer", "nystromformer", "performer"]
    return dict(sorted(groups.items(), key=lambda item: (*item[0][:2], mixers.index(item[0][2]), item[0][3])))


def one_length(runs: list[Run]) -> None:
    print("Sequences of one length, none twice; the error, %, by what is read out:\n")
    print(
        f"| task | positions | mixer | sequences | {' | '.join(READOUTS.values())} |\n"
        "|---|--:|---|--:|--:|--:|--:|"
    )
    for (task, length, mixer, sequences), some in grouped(runs).items():
        cells = [errors([run for run in some if run["readout"] == readout]) for readout in READOUTS]
        print(f"| {TASKS[task]} | {length:,} | {mixer} | {sequences} | {' | '.join(cells)} |")


def short_first(runs: list[Run]) -> None:
    print(
        "\nShort sequences first: 12,800 of each length 16, 32, .., up to half of it, then of that length:\n"
    )
    print(
        "| task | positions | mixer | sequences of that length | error, % | minutes |\n"
        "|---|--:|---|--:|--:|--:|"
    )
    for (task, length, mixer, sequences), some in grouped(runs).items():
        minutes = statistics.median(run["seconds"] for run in some) / 60
        print(f"| {TASKS[task]} | {length:,} | {mixer} | {sequences} | {errors(some)} | {minutes:.0f} |")


def everything() -> None:
    groups = defaultdict(list)
    for run in RUNS:
        options = [o for o in run["options"] if o != "--compile=true"]  # of the time alone
        groups[run["task"], run["length"], run["readout"], run["mixer"], " ".join(options)].append(run)
    print(
        "| task | positions | read out | mixer | error, % | seconds | options |\n"
        "|---|--:|---|---|--:|--:|---|"
    )
    for (task, length, readout, mixer, options), some in sorted(groups.items()):
        seconds = statistics.median(run["seconds"] for run in some)
        print(f"| {task} | {length} | {readout} | {mixer} | {errors(some)} | {seconds:.0f} | {options} |")


if sys.argv[1:] == ["all"]:
    everything()
else:
    told = [run for run in RUNS if not is_trial(run)]
    one_length([run for run in told if SHORT not in run["options"]])
    short_first([run for run in told if SHORT in run["options"]])
