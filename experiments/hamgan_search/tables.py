"""Print the tables of results.jsonl: python experiments/hamgan_search/tables.py"""

from search import CHANGES, FRESH, RESULTS, START, called, found

from subquad.base.table import markdown
from subquad.engine.experiment_results import mean_and_deviation, read_lines


def main() -> None:
    lines = read_lines(RESULTS)
    columns = {context: found(lines, context) for context in CHANGES}
    print("Each change, with seed 0, after 1,500 steps; the best of a context first:\n")
    rows = [
        [called(context, name), f"{of[name]:.2f}", f"{of[name] - of[START]:+.2f}" if START in of else ""]
        for context, of in columns.items()
        for name in sorted(of, key=of.__getitem__)
    ]
    print(markdown([["", "proxy-FID", "against the published"], *rows]))
    best = {context: min(of, key=of.__getitem__, default=START) for context, of in columns.items()}
    chosen = [called(context, name) for context in columns for name in dict.fromkeys([START, best[context]])]
    published = [called(context, START) for context in columns]
    print("\nThe best of each and the published one, with seeds that nothing was chosen by:\n")
    print_runs(lines, chosen, FRESH)
    print("\nThe published ones, with all seeds:\n")
    print_runs(lines, published, (0, *FRESH))


def print_runs(lines: list[dict], cases: list[str], seeds: tuple[int, ...]) -> None:
    """Print a row for each case that has a run with one of these seeds."""
    table = [["", "proxy-FID", "seeds", "classes recognised", "parameters"]]
    for case in cases:
        runs = {line["seed"]: line for line in lines if line["case"] == case and line["seed"] in seeds}
        if runs:
            table.append(row(case, [*runs.values()]))
    print(markdown(table))


def row(name: str, runs: list[dict]) -> list[str]:
    """Return a row of the second table."""
    each = [run["distance"] for run in runs]
    shares = [100 * run["class_accuracy"] for run in runs]
    return [
        name,
        mean_and_deviation(each, 2),
        ", ".join(f"{distance:.2f}" for distance in each),
        f"{mean_and_deviation(shares, 1)} %",
        f"{runs[0]['parameters']:,}",
    ]


main()
