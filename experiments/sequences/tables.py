"""Print results.jsonl as a table: python experiments/sequences/tables.py"""

import json
import statistics
from collections import defaultdict
from pathlib import Path

groups = defaultdict(list)
for line in (Path(__file__).parent / "results.jsonl").read_text().splitlines():
    run = json.loads(line)
    options = [option for option in run["options"] if option != "--compile=true"]  # of the time alone
    groups[run["task"], run["length"], run["readout"], run["mixer"], " ".join(options)].append(run)
print("| task | positions | read out | mixer | error, % | seeds | seconds | options |")
print("|---|--:|---|---|--:|--:|--:|---|")
for (task, length, readout, mixer, options), runs in sorted(groups.items()):
    errors = [100 * run["error"] for run in runs]
    spread = f" ± {statistics.stdev(errors):.1f}" if len(errors) > 1 else ""
    seconds = statistics.median(run["seconds"] for run in runs)
    error = f"{statistics.mean(errors):.1f}{spread}"
    print(f"| {task} | {length} | {readout} | {mixer} | {error} | {len(runs)} | {seconds:.0f} | {options} |")
