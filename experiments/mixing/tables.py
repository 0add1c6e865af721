"""Print the tables of mixing: python experiments/mixing/tables.py"""

import json
from pathlib import Path

HERE = Path(__file__).parent
SPEED = HERE.parent / "speed"


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def ms(timing: dict | None) -> str:
    """Return a median; nothing for what was left out."""
    if not timing:
        return ""
    median = timing["p50"]
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


def where(of: dict) -> str:
    quiet = {True: ", quiet", False: ", not quiet"}.get(of.get("quiet"), "")
    return f"({of['device']}, {of['threads']} threads, torch {of['torch']}, commit {of['commit']}{quiet})"


def product() -> None:
    found = read(SPEED / "mixing.json")
    plain = found["rows"][0]
    size = f"batch {found['batch']}, {found['length']:,} positions, {found['dim']} channels"
    print(f"One product with a sparse factor, {size}, {found['links']} links;")
    print(f"medians of {found['repeats']} rounds {where(found['environment'])}:\n")
    print("| way | forward, ms | times faster | with backward, ms | times faster | kept for it, MiB |")
    print(f"|---|{'--:|' * 5}")
    for row in found["rows"]:
        cells = [row["way"].replace("link_mix", "`link_mix`")]
        for what in ("forward", "both"):
            faster = "" if row is plain else f"{plain[what]['p50'] / row[what]['p50']:.3g}"
            cells += [ms(row[what]), faster]
        print(f"| {' | '.join(cells)} | {row['kept'] / 2**20:.1f} |")


def block() -> None:
    found, long = read(SPEED / "scaling.json"), read(HERE / "long.json")
    print("\nA forward pass of a block (CHORD, one sequence, 32 channels, no gradient) beside one of softmax")
    print(f"attention with PyTorch's fused kernel {where(found['environment'])}:\n")
    print("| positions | Paramixer, ms | attention, ms |\n|--:|--:|--:|")
    for point in found["sequences"]["points"]:
        print(f"| {point['length']:,} | {ms(point['paramixer'])} | {ms(point['attention'])} |")
    most = f"{long['seconds']:.1f} s and {long['peak'] / 2**30:.2f} GiB at most, Python and PyTorch included"
    print(f"\nOne forward pass over {long['tokens']:,} positions in a process of its own: {most}")
    print(f"{where(long['environment'])}.")


def lengths() -> None:
    found = read(HERE / "lengths.json")
    print(
        f"\nBatches of many lengths: the product and both gradients of {found['batch']} sequences of half as "
        f"many positions to so many, 64 channels, 10 links, looked up or by shifted views {where(found)}:\n"
    )
    print("| positions at most | lookups, ms | views, ms | views of equal lengths, ms |\n|--:|--:|--:|--:|")
    for row in found["rows"]:
        if row["dim"] == 64:
            print(f"| {row['longest']:,} | {ms(row['lookups'])} | {ms(row['views'])} | {ms(row['equal'])} |")


product()
block()
lengths()
