"""Sequences: made ones, readers of files, vocabularies, batches of like length, and checks.

`SequenceData` needs Lightning, so it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.data.sequences.batches import (
    IGNORED_CLASS,
    BucketOrder,
    Collate,
    EvaluationOrder,
    SequenceBatch,
)
from subquad.data.sequences.building import open_sequences
from subquad.data.sequences.check import check_sequences
from subquad.data.sequences.listops import ListOps, evaluate_listops
from subquad.data.sequences.options import SequenceOptions
from subquad.data.sequences.pathfinder import Pathfinder, PathfinderScene
from subquad.data.sequences.report import SequenceReport, SequenceSplit
from subquad.data.sequences.samples import SequenceDataset, SequenceInfo, SequenceSample
from subquad.data.sequences.synthetic import Adding, TemporalOrder
from subquad.data.sequences.vocabulary import BYTES, DNA, GREY, LISTOPS, ORDER, Vocabulary

if TYPE_CHECKING:
    from subquad.data.sequences.module import SequenceData

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
        from subquad.data.sequences.module import SequenceData

        return SequenceData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
