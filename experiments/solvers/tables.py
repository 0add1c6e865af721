"""Print what the solvers cost, relative to NMF with the one-step gradient.

python experiments/solvers/tables.py
"""

from pathlib import Path

from subquad.engine.experiment_results import read_lines

LINES = read_lines(Path(__file__).parent / "results.jsonl")


def main() -> None:
    for name in dict.fromkeys(line["map"] for line in LINES):
        of = [line for line in LINES if line["map"] == name]
        steps = sorted({line["grad_steps"] for line in of if line["grad_steps"] is not None})
        print(f"{name}: forward and backward, ms, and memory, MiB; so many iterations in the graph, if any\n")
        print("|", " | ".join(["", *(f"{told}, ms | MiB" for told in steps), "none, ms | MiB"]), "|")
        print("|---|" + "--:|--:|" * (len(steps) + 1))
        for case in dict.fromkeys(line["case"] for line in of):
            found = {line["grad_steps"]: line for line in of if line["case"] == case}
            cells = {told: f"{ms(line)} | {line['peak'] / 2**20:.1f}" for told, line in found.items()}
            print("|", " | ".join([case, *(cells.get(told, " | ") for told in (*steps, None))]), "|")
        print()


def ms(line: dict) -> str:
    return f"{line['ms']:.3g}" if line["ms"] < 1000 else f"{line['ms']:,.0f}"


if __name__ == "__main__":
    main()
