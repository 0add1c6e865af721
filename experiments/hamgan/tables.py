"""Print the tables of results.jsonl: python experiments/hamgan/tables.py"""

import statistics
from pathlib import Path

from subquad.engine.experiment_results import mean_and_deviation, read_lines

LINES = read_lines(Path(__file__).parent / "results.jsonl")
RUNS = [line for line in LINES if "case" in line]
# Runs of another length, or on other data, are not these; of a seed that was run twice the first counts.
FIRST: dict[tuple, dict] = {}
for line in RUNS:
    if all(line[name] == RUNS[0][name] for name in ("recipe", "steps")):
        FIRST.setdefault((line["case"], line["seed"]), line)
RUNS = [*FIRST.values()]
CASES = {
    case: [run for run in RUNS if run["case"] == case] for case in dict.fromkeys(r["case"] for r in RUNS)
}
TIMES = {line["step"]: line for line in LINES if "ms" in line}


def main() -> None:
    real = RUNS[0]
    print(
        "| context | proxy-FID | seeds | classes recognised | parameters | a step, ms |\n"
        "|---|--:|--:|--:|--:|--:|"
    )
    for case, runs in CASES.items():
        distances = [run["distance"] for run in runs]
        right = f"{100 * statistics.mean(run['class_accuracy'] for run in runs):.1f} %"
        time = f"{ms['p50']} ({ms['p20']} to {ms['p80']})" if (ms := TIMES.get(case, {}).get("ms")) else ""
        each = ", ".join(f"{distance:.2f}" for distance in distances)
        told = [case, mean_and_deviation(distances, 2), each, right, f"{runs[0]['parameters']:,}", time]
        print(f"| {' | '.join(told)} |")
    print(f"\nProxy-FID of other real images: {real['real_distance']:.3f}. {real['features'].capitalize()}.")
    print("Proxy-FID along the way, on as many images as one evaluation has:\n")
    steps = [step for step, _ in real["curve"]]
    print(f"| steps | {' | '.join(f'{step:,}' for step in steps)} |\n|---|{'--:|' * len(steps)}")
    for case, runs in CASES.items():
        curves = zip(*([distance for _, distance in run["curve"]] for run in runs), strict=True)
        print(f"| {case} | {' | '.join(f'{statistics.mean(values):.1f}' for values in curves)} |")


main()
