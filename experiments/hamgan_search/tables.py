"""Print the tables of results.jsonl: python experiments/hamgan_search/tables.py"""

from search import CHANGES, FRESH, RESULTS, START, TOGETHER, called, found, helpful

from subquad.base.table import markdown
from subquad.engine.experiment_results import mean_and_deviation, read_lines


def main() -> None:
    lines = read_lines(RESULTS)
    columns = {context: found(lines, context) for context in CHANGES}
    print("Proxy-FID of each change, with seed 0, after 1,500 steps:\n")
    rows = [
        [name, *(f"{of[name]:.2f}" if name in of else "" for of in columns.values())]
        for name in dict.fromkeys([START, *(name for of in CHANGES.values() for name in of), TOGETHER])
    ]
    print(markdown([["changed", *columns], *(row for row in rows if any(row[1:]))]))
    print("\nThe best of each, with seeds that it was not chosen by:\n")
    table = [["context", "proxy-FID", "seeds", "classes recognised", "parameters"]]
    for context, distances in columns.items():
        if not distances:
            continue
        best = min(distances, key=distances.__getitem__)
        runs = [line for line in lines if line["case"] == called(context, best) and line["seed"] in FRESH]
        if not runs:
            continue
        each = [run["distance"] for run in runs]
        shares = [100 * run["class_accuracy"] for run in runs]
        what = " and ".join(helpful(distances)) if best == TOGETHER else best
        table.append(
            [
                f"{context}: {what}",
                mean_and_deviation(each, 2),
                ", ".join(f"{distance:.2f}" for distance in each),
                f"{mean_and_deviation(shares, 1)} %",
                f"{runs[0]['parameters']:,}",
            ]
        )
    print(markdown(table))


main()
