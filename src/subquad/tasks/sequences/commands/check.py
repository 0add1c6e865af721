"""`subquad data check` of sequences."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from subquad.tasks.sequences.data.check import check_sequences
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.report import SequenceReport

# How sequences are presented is not what is looked over.
LEFT_OUT = {
    *("name", "root", "file", "seed", "samples", "eval_samples", "batch_size", "eval_batch_size"),
    *("buckets", "workers", "cls", "pad", "size"),
}


def check(options: Any) -> SequenceReport:
    """Look over a table, or the folder of a published set."""
    path = Path(options.path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; correct the path.")
    known = {f.name for f in dataclasses.fields(SequenceOptions)} - LEFT_OUT
    place = {"root": str(path)} if path.is_dir() else {"file": str(path)}
    return check_sequences(
        SequenceOptions(options.format, **place, **{name: options[name] for name in known})
    )
