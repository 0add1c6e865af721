"""Sequences: made ones, readers of files, vocabularies, batches of like length, and checks.

`SequenceData` needs Lightning, so it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.tasks.sequences.data.batches import (
    IGNORED_CLASS,
    BucketOrder,
    Collate,
    EvaluationOrder,
    SequenceBatch,
)
from subquad.tasks.sequences.data.building import open_sequences
from subquad.tasks.sequences.data.check import check_sequences
from subquad.tasks.sequences.data.listops import ListOps, evaluate_listops
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.pathfinder import Pathfinder, PathfinderScene
from subquad.tasks.sequences.data.report import SequenceReport, SequenceSplit
from subquad.tasks.sequences.data.samples import SequenceDataset, SequenceInfo, SequenceSample
from subquad.tasks.sequences.data.synthetic import Adding, TemporalOrder
from subquad.tasks.sequences.data.vocabulary import BYTES, DNA, GREY, LISTOPS, ORDER, Vocabulary

if TYPE_CHECKING:
    from subquad.tasks.sequences.data.module import SequenceData

__all__ = [
    "BYTES",
    "DNA",
    "GREY",
    "IGNORED_CLASS",
    "LISTOPS",
    "ORDER",
    "Adding",
    "BucketOrder",
    "Collate",
    "EvaluationOrder",
    "ListOps",
    "Pathfinder",
    "PathfinderScene",
    "SequenceBatch",
    "SequenceData",
    "SequenceDataset",
    "SequenceInfo",
    "SequenceOptions",
    "SequenceReport",
    "SequenceSample",
    "SequenceSplit",
    "TemporalOrder",
    "Vocabulary",
    "check_sequences",
    "evaluate_listops",
    "open_sequences",
]


def __getattr__(name: str) -> Any:
    if name == "SequenceData":
        from subquad.tasks.sequences.data.module import SequenceData

        return SequenceData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
