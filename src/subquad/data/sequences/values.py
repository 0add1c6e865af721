"""Sequences of real numbers, written as text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from subquad.data.sequences.samples import Record
from subquad.data.sequences.tables import Problem, refuse


def number_records(records: Sequence[Record], problem: Problem = refuse) -> list[Record]:
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
        ValueError: If it is neither, is empty, or holds what is not finite.
    """
    try:
        values = json.loads(text) if text.lstrip().startswith("[") else text.split()
        numbers = np.asarray(values, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{text[:40]!r} is no sequence of numbers ({error}); write 1.5 2.0 ..., "
            "or in JSONL a list of numbers, or of lists of equal length."
        ) from error
    if numbers.ndim not in (1, 2) or not numbers.size:
        raise ValueError(
            f"{text[:40]!r} holds no sequence of numbers; write 1.5 2.0 ..., or a list of lists."
        )
    if not np.isfinite(numbers).all():
        raise ValueError(f"{text[:40]!r} holds a number that is not finite; replace or remove it.")
    return torch.from_numpy(numbers.reshape(len(numbers), -1))
