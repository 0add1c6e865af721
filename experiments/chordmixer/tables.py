"""Print results.jsonl as a table: python experiments/chordmixer/tables.py"""

import json
import statistics
from collections import defaultdict
from pathlib import Path

RUNS = [json.loads(line) for line in (Path(__file__).parent / "results.jsonl").read_text().splitlines()]


def chosen(runs: list) -> list:
    """Return the runs with the rate that was better on validation with seed 0."""
    first = [run for run in runs if run["seed"] == 0]
    rate = max(first, key=lambda run: run["validation"])["rate"]
    return [run for run in runs if run["rate"] == rate]


groups = defaultdict(list)
for run in RUNS:
    groups[run["task"], run["mixer"]].append(run)
print(
    "| task | mixer | accuracy, % | seeds | rate | other rate, seed 0: validation of both | parameters | "
    "positions | steps of | CPU seconds |"
)
print("|---|---|--:|--:|--:|---|--:|--:|--:|--:|")
for (task, mixer), runs in groups.items():
    best = chosen(runs)
    scores = [100 * run["accuracy"] for run in best]
    spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
    each = f" ({', '.join(f'{score:.1f}' for score in scores)})" if len(scores) > 1 else ""
    rates = {run["rate"]: 100 * run["validation"] for run in runs if run["seed"] == 0}
    both = ", ".join(f"{rate:g}: {score:.1f}" for rate, score in sorted(rates.items()))
    one = best[0]
    seconds = statistics.median(run["cpu_seconds"] for run in best)
    print(
        f"| {task} | {mixer} | {statistics.mean(scores):.1f}{spread}{each} | {len(best)} | {one['rate']:g} | "
        f"{both} | {one['parameters']:,} | {one['positions']:,} | {one['steps']:,} of {one['batch']} | "
        f"{seconds:.0f} |"
    )
