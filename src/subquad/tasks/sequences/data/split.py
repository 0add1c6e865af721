"""Splitting what comes as one: seeded, and with all classes in each part."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from subquad.data.text_files import read_bytes
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.tables import Complain, refuse

Splits = dict[str, list[Record]]


def hold_out(
    records: Sequence[Record], fraction: float, seed: int, by_label: bool = True
) -> tuple[list[Record], list[Record]]:
    """Take a part of the records away.

    Args:
        records: What was read.
        fraction: The part, from 0 to below 1. Of each class one record at least is left, and equal texts
            stay together.
        seed: Decides which; the order of the records decides nothing else.
        by_label: Whether each class loses the same part.

    Returns:
        What is left and what was taken, each in the order of the records.
    """
    same: dict[object, list[int]] = defaultdict(list)  # equal texts must not come on both sides
    for index, record in enumerate(records):
        same[_content(record) or index].append(index)
    groups: dict[str, list[list[int]]] = defaultdict(list)
    for indices in same.values():
        groups[records[indices[0]].label if by_label else ""].append(indices)
    rng, candidates = random.Random(seed), []
    for label in sorted(groups):
        rng.shuffle(groups[label])
        candidates += groups[label][1:]
    wanted = min(round(fraction * len(same)), len(candidates))
    # Evenly spaced over the classes one after the other: each gives its part, and the sum is right.
    chosen = (candidates[(2 * step + 1) * len(candidates) // (2 * wanted)] for step in range(wanted))
    taken = {index for indices in chosen for index in indices}
    kept = [record for index, record in enumerate(records) if index not in taken]
    return kept, [record for index, record in enumerate(records) if index in taken]


def complete(
    splits: Splits, fractions: dict[str, float], seed: int, by_label: bool, problem: Complain = refuse
) -> Splits:
    """Take what is missing of validation and testing from training.

    Args:
        splits: `"train"`, and `"val"` and `"test"` if there are files of them.
        fractions: Parts of all of training for `"test"` and `"val"`, in the order they are taken.
        seed: Decides which records.
        by_label: Whether each class loses the same part.
        problem: What is done if too few records leave none for validation; testing can wait.
    """
    whole = len(splits["train"])
    for step, (name, fraction) in enumerate(fractions.items()):
        if name not in splits and fraction > 0 and whole:
            part = fraction * whole / max(len(splits["train"]), 1)
            left, taken = hold_out(splits["train"], min(part, 1), seed + step, by_label)
            splits = splits | {"train": left, name: taken}
            if name == "val" and not taken:
                problem(none_left(whole, name))
    return {name: splits[name] for name in ("train", "val", "test") if splits.get(name)}


def none_left(records: int, split: str) -> str:
    """Say that training is too small to give a split its part, and what helps."""
    return (
        f"{records} sequences leave none for {split}; give {split}_file (--data.{split}_file) or more rows, "
        f"or, with root, {split} beside train."
    )


def _content(record: Record) -> str | bytes:
    """Return what tells a sequence from others; nothing if its file is broken, which is told elsewhere."""
    if isinstance(record.sequence, Tensor):
        return record.sequence.numpy().tobytes()
    if isinstance(record.sequence, Path):
        try:
            data = read_bytes(record.sequence)
        except ValueError:
            return b""
        # Documents lose their line ends, and texts that differ in them alone are equal enough.
        return hashlib.sha256(data.translate(None, b"\r\n")).digest()
    return record.sequence
