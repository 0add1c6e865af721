"""Sequences of real numbers, written as text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.tables import Complain, refuse

# float32 reaches from 1.4e-45 to 3.4e38.
NO_FLOAT32 = (
    "which float32 cannot hold (it is finite, from 1.4e-45 to 3.4e38); replace it, or scale all values."
)
COMMA = "a comma stands in it: write a decimal point, and no separator of thousands"


def number_records(records: Sequence[Record], problem: Complain = refuse) -> list[Record]:
    """Replace the text of each record by its numbers, float32 (length, features).

    Args:
        records: Texts such as `1.5 2.0 -3`, `[1.5, 2.0]` or `[[1.5, 0], [2.0, 1]]`.
        problem: What is done about a text that is none of them; the record is left out.
    """
    kept = []
    for record in records:
        try:
            kept.append(record._replace(sequence=parse_numbers(str(record.sequence))))
        except ValueError as error:
            problem(f"{record.where}: {error}")
    return kept


def parse_numbers(text: str) -> Tensor:
    """Read numbers between spaces, or a JSON list of numbers or of lists of them.

    Returns:
        float32 (length, features).

    Raises:
        ValueError: If it is neither, is empty, or holds what float32 cannot: infinity, NaN, numbers
            beyond it, or nothing but numbers below it.
    """
    is_list = text.lstrip().startswith("[")
    try:
        if re.search("_|true|false", text):  # digits in Python's own groups, and no 1 and 0
            raise ValueError("there is a word among them")
        numbers = np.asarray(json.loads(text) if is_list else text.split(), dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        why = COMMA if not is_list and has_comma(text) else str(error)
        raise ValueError(
            f"{text[:40]!r} is no sequence of numbers ({why}); write 1.5 2.0 ..., "
            "or in JSONL a list of numbers, or of lists of equal length."
        ) from error
    if numbers.ndim not in (1, 2) or not numbers.size:
        raise ValueError(
            f"{text[:40]!r} holds no sequence of numbers; write 1.5 2.0 ..., or a list of lists."
        )
    with np.errstate(over="ignore", under="ignore"):
        single = numbers.astype(np.float32)
    if not np.isfinite(single).all():
        first = int(np.isfinite(single).ravel().argmin())
        value = f"{numbers.ravel()[first]:g}" if is_list else text.split()[first]
        if not np.isfinite(numbers.ravel()[first]):
            raise ValueError(f"it holds a number that is not finite, {value[:40]}; replace or remove it.")
        raise ValueError(f"it holds {value[:40]}, {NO_FLOAT32}")
    if numbers.any() and not single.any():
        raise ValueError(f"it holds {numbers[numbers != 0][0]:g} and nothing larger, {NO_FLOAT32}")
    return torch.from_numpy(single.reshape(len(single), -1))


def has_comma(text: str) -> bool:
    """Say whether a text holds a number with a comma, as much of Europe writes it."""
    return re.search(r"\d,\d", text) is not None


def in_float32(value: float) -> bool:
    """Say whether float32 holds a number: finite, and not 0 unless it is."""
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(value)
    return bool(np.isfinite(single)) and bool(single) == bool(value)
