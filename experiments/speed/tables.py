"""Write the tables of docs/bench.md, docs/training.md and docs/inference.md from the files beside this one.

python experiments/speed/tables.py solvers      or modules, models, scaling, sequences, training, inference
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LAYERS = ("Hamburger", "attention", "linear attention", "3 x 3 convolution")


def read(name: str) -> Any:
    """Return what `subquad bench NAME --json` wrote."""
    return json.loads((HERE / f"{name}.json").read_text())


def ms(timing: Any) -> str:
    """Return a median; nothing for what was left out."""
    if not timing:
        return ""
    median = timing["p50"]
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


def solvers() -> Iterator[list[str]]:
    """Yield a row for each decomposition, way and layout."""
    rows = read("solvers")["rows"]
    plain = {(row["solver"], row["layout"]): row for row in rows if row["way"] == "plain"}
    for row in rows:
        first = plain[row["solver"], row["layout"]]
        cells = [row["solver"], row["way"], row["layout"]]
        for what, scratch in (("inference", "scratch"), ("training", "training_scratch")):
            faster = first[what]["p50"] / row[what]["p50"]
            cells += [ms(row[what]), f"{faster:.2f}", f"{row[scratch]:.1f}"]
        yield [*cells, f"{row['error']:.0e}"]


def modules() -> Iterator[list[str]]:
    """Yield a row for each module."""
    for row in read("modules")["rows"]:
        parameters, multiply_adds = row["published"] or (None, None)
        yield [
            row["module"],
            f"{row['parameters'] / 2**20:.2f}",
            "" if parameters is None else f"{parameters:.2f}",
            f"{row['multiply_adds'] / 1e9:.1f}",
            "" if multiply_adds is None else f"{multiply_adds:g}",
            ms(row["training"]),
            ms(row["inference"]),
            f"{row['training_memory'] / 2**20:,.0f}",
            f"{row['inference_memory'] / 2**20:,.0f}",
        ]


def scaling() -> Iterator[list[str]]:
    """Yield a row for each size of maps."""
    for point in read("scaling")["maps"]:
        times = [ms(point["times"].get(name)) for name in LAYERS]
        yield [f"{point['height'] * point['width']:,}", *times]


def sequences() -> Iterator[list[str]]:
    """Yield a row for each length of sequences."""
    for point in read("scaling")["sequences"]["points"]:
        yield [f"{point['length']:,}", ms(point["paramixer"]), ms(point["attention"])]


def models() -> Iterator[list[str]]:
    """Yield a row for each network, with both of its forms."""
    rows = read("models")["rows"]
    forms = {(row["name"], row["form"]): row for row in rows}
    reference = min(row["time"]["p50"] for row in rows if row["name"] == "SegFormer-B0")
    for name in dict.fromkeys(row["name"] for row in rows):
        plain, fast = forms[name, "plain"], forms[name, "optimised"]
        yield [
            name,
            f"{plain['parameters'] / 1e6:.1f}",
            f"{plain['multiply_adds'] / 1e9:.1f}",
            ms(plain["time"]),
            ms(fast["time"]),
            f"{1e3 / fast['time']['p50']:.1f}",
            f"{fast['time']['p50'] / reference:.2f}",
            f"{plain['memory'] / 2**20:.0f}",
            f"{fast['memory'] / 2**20:.0f}",
        ]


def training() -> Iterator[list[str]]:
    """Yield a row for each network: steps a second, and the memory of a step in MiB."""
    for case, ways in read("train").items():
        rates = [ways[way]["steps a second"] for way in ("before", "strips", "after")]
        words = [f"{rate['p50']:.2f} ({rate['p20']:.2f} to {rate['p80']:.2f})" for rate in rates]
        memory = [f"{ways[way]['peak MiB']:,.0f}" for way in ("before", "after")]
        yield [case, *words, f"{rates[-1]['p50'] / rates[0]['p50']:.2f}", *memory]


def inference() -> Iterator[list[str]]:
    """Yield a row for each network: plain, optimised, in bfloat16, compiled."""
    for name, row in read("inference").items():
        (shape, *_), medians = row["input"], row["median_ms"]
        if len(shape) == 4:
            size = f"{shape[2]} x {shape[3]}"
        else:
            size = "one image" if name.startswith("hamgan") else f"{shape[1]:,} positions"
        ways = [medians.get(way) for way in ("plain", "optimised", "bfloat16", "compiled")]
        is_map = row["steps"]["optimised"] and len(shape) == 4 and name != "van_tiny"
        same = f"{100 * row['same_class']['bfloat16']:.1f}" if is_map else ""
        yield [name, size, *(ms({"p50": way}) if way else "" for way in ways), same]


def main() -> None:
    """Print the table that is asked for."""
    tables = {
        "solvers": solvers, "modules": modules, "models": models, "scaling": scaling, "sequences": sequences,
        "training": training, "inference": inference,
    }  # fmt: skip
    for row in tables[sys.argv[1]]():
        sys.stdout.write(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in row)}|\n")


if __name__ == "__main__":
    main()
