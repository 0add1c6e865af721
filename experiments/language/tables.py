"""Print a table of the results.

python experiments/language/tables.py search|characters|recall|repeats|cost
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def rows_of(name: str) -> list[Row]:
    """Return the lines of results/NAME.jsonl."""
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def show(header: Iterable[str], lines: Iterable[Iterable[str]]) -> None:
    """Print a table: words in the first column, numbers in the others."""
    header = list(header)
    print("|", " | ".join(header), "|")
    print("|---|" + "--:|" * (len(header) - 1))
    for line in lines:
        print("|", " | ".join(line), "|")


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Return the rows of each key, in the order of the first."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def spread(values: list[float], digits: int = 3) -> str:
    """Return mean and deviation of the seeds, and how many there are where it is one."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.{digits}f} (one seed)"
    told = f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"
    return told if len(values) > 2 else f"{told} (two seeds)"


def search() -> None:
    """Tell what each learning rate gave."""
    for name, score in (("search_characters", "bits"), ("search_recall", "recall_16")):
        last = [row for row in rows_of(name) if row["step"] == row["steps"]]
        rates = sorted({row["lr"] for row in last})
        lines = []
        for design, of in grouped(last, lambda row: row["design"]).items():
            found = {row["lr"]: f"{row[score]:.3f}" for row in of}
            lines.append([design, *(found.get(rate, "") for rate in rates)])
        show([score.replace("_", " of "), *(f"{rate:g}" for rate in rates)], lines)
        print()


def characters() -> None:
    """Tell the bits after each number of steps."""
    for (dim, depth, context), some in grouped(
        rows_of("characters"), lambda row: (row["dim"], row["depth"], row["context"])
    ).items():
        budgets = sorted({row["steps"] for row in some})
        lines = []
        for design, of in grouped(some, lambda row: row["design"]).items():
            found = [[row["bits"] for row in of if row["steps"] == steps] for steps in budgets]
            rates = ", ".join(f"{rate:g}" for rate in sorted({row["lr"] for row in of}))
            lines.append([design, f"{of[0]['parameters']:,}", rates, *map(spread, found)])
        print(f"dim {dim}, {depth} layers, windows of {context}:\n")
        show(["", "parameters", "rate", *(f"{steps:,} steps" for steps in budgets)], lines)
        print()


def recall() -> None:
    """Tell how much of 4, 8 and 16 pairs is recalled after the last step."""
    for heads, some in grouped(rows_of("recall"), lambda row: row["heads"]).items():
        last = [row for row in some if row["step"] == row["steps"]]
        lines = []
        for design, of in grouped(last, lambda row: row["design"]).items():
            each = ", ".join(f"{row['recall_16']:.3f}" for row in of)
            means = [f"{statistics.mean(row[f'recall_{n}'] for row in of):.3f}" for n in (4, 8, 16)]
            rates = ", ".join(f"{rate:g}" for rate in sorted({row["lr"] for row in of}))
            lines.append([design, rates, *means, each])
        print(f"{heads} heads of {last[0]['dim'] // heads}, {last[0]['steps']} steps:\n")
        show(["", "rate", "4 pairs", "8", "16", "16, each seed"], lines)
        print()


def repeats() -> None:
    """Tell the bits of a passage's second half, the first time and the second."""
    last = [row for row in rows_of("repeats") if row["step"] == row["steps"]]
    lines = []
    for design, of in grouped(last, lambda row: row["design"]).items():
        first, again = ([row[f"bits_{which}"] for row in of] for which in ("first", "again"))
        share = statistics.mean(again) / statistics.mean(first)
        lines.append([design, f"{of[0]['lr']:g}", spread(first), spread(again), f"{100 * share:.0f} %"])
    show(["", "rate", "first time", "again", "share"], lines)


def cost() -> None:
    """Tell times and memory beside attention's."""
    rows = rows_of("cost")
    for what, place, unit in (
        ("forward and backward", "length", "ms"),
        ("memory", "length", "MiB"),
        ("decoding", "after", "ms a token"),
    ):
        some = [row for row in rows if row["what"] == what]
        places = sorted({row[place] for row in some})
        lines = []
        for mixer, of in grouped(some, lambda row: row["mixer"]).items():
            found = {row[place]: row for row in sorted(of, key=lambda row: row[place])}
            if what == "decoding":
                texts = [f"{found[n]['ms']:.3f} ({found[n]['cache'] / 2**10:,.0f} KiB)" for n in places]
            else:
                values = [
                    of["peak"] / 2**20 if what == "memory" else of["ms"]["p50"] for of in found.values()
                ]
                ratios = [of["to_attention"] for of in found.values()]
                texts = [f"{value:,.1f} ({ratio:.3f})" for value, ratio in zip(values, ratios, strict=True)]
            lines.append([mixer, *texts])
        show([f"{what}, {unit}", *(f"{n:,}" for n in places)], lines)
        print()


TABLES = {"search": search, "characters": characters, "recall": recall, "repeats": repeats, "cost": cost}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in TABLES:
        sys.exit(f"give one of {', '.join(TABLES)}, got {sys.argv[1:]}")
    TABLES[sys.argv[1]]()
