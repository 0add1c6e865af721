"""`subquad data check` of sequences."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from subquad.engine.parsing import Parser
from subquad.tasks.sequences.data import SequenceOptions

SEQUENCE_SETS = ("csv", "text", "image", "long_document", "genome", "listops", "pathfinder")
# How sequences are presented is not what is looked over.
_LEFT_OUT = {
    *("name", "root", "file", "seed", "samples", "eval_samples", "batch_size", "eval_batch_size"),
    *("buckets", "workers", "cls", "pad", "size"),
}


def parser() -> Parser:
    """Return the options of `subquad data check` for sequences."""
    p = Parser(prog="subquad data check", description="Report what is in sequence data, and what to mend.")
    p.add_argument("path", type=str, help="A table, or the folder of a published set.")
    p.add_argument("--format", type=str, default="csv", help=f"One of {', '.join(SEQUENCE_SETS)}.")
    p.add_class_arguments(SequenceOptions, None, skip=set(_LEFT_OUT))
    return p


def is_about_sequences(arguments: Sequence[str]) -> bool:
    """Say whether the arguments of `subquad data check` name a table or a set of sequences."""
    for index, argument in enumerate(arguments):
        option, joined, value = argument.partition("=")
        if option == "--format":
            return (value if joined else "".join(arguments[index + 1 : index + 2])) in SEQUENCE_SETS
    return any(Path(argument).is_file() for argument in arguments[:1])


def main(arguments: list[str]) -> None:
    """Print the report; data with problems are an error."""
    from subquad.tasks.sequences.data import check_sequences

    given = parser().parse_args(arguments)
    path = Path(given.path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; correct the path.")
    known = {f.name for f in dataclasses.fields(SequenceOptions)} - _LEFT_OUT
    place = {"root": str(path)} if path.is_dir() else {"file": str(path)}
    options = SequenceOptions(given.format, **place, **{name: given[name] for name in known})
    report = check_sequences(options)
    sys.stdout.write(f"{report}\n")
    if not report.ok:
        raise ValueError(
            f"{path} has {len(report.problems)} problem(s), see above; the first: {report.problems[0]}"
        )
