"""What commands say about the sequences that they read, before they use them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from subquad.engine.progress import is_first_process
from subquad.tasks.sequences.data.unknown import UnknownTokens, refuse_unknown

if TYPE_CHECKING:
    from subquad.tasks.sequences.data import SequenceData


def tell_notes(data: SequenceData) -> None:
    """Print how the files were read, where a user may want to know."""
    for note in data.notes:
        _tell(note)


def tell_unknown(data: SequenceData, split: str) -> UnknownTokens | None:
    """Print which tokens of a split training does not have; returns them, or None if there can be none."""
    found = data.unknown(split)
    if found is not None and found.counts:
        _tell(f"{split}: {found.sentence('training')}; {found.remedy()}.")
    return found


def check_unknown(data: SequenceData, split: str) -> None:
    """Print the same, and raise ValueError if they are too many and not allowed."""
    found = tell_unknown(data, split)
    if found is not None:
        refuse_unknown(found, split, "training", data.options.unknown == "allow")


def _tell(note: str) -> None:
    if is_first_process():
        sys.stdout.write(f"note: {note}\n")
