"""Genomes: FASTA files, one or several for each class."""

from __future__ import annotations

from pathlib import Path

from subquad.data.sequences.files import bare_name, beside, kind_of, open_text
from subquad.data.sequences.samples import Record
from subquad.data.sequences.split import Splits
from subquad.data.sequences.tables import Problem, refuse

FASTA = (".fa", ".fasta", ".fna", ".ffn", ".fas")
# "Any of several" of the nucleic acid code, and a gap.
AMBIGUOUS = frozenset("RYSWKMBDHVU-*.")


def read_fasta(path: Path, label: str, problem: Problem = refuse) -> list[Record]:
    """Read the sequences of a FASTA file, in capitals.

    Args:
        path: The file, packed or not.
        label: The class of all of them.
        problem: What is done about a header without a sequence.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If letters come before the first header.
    """
    records: list[Record] = []
    parts: list[str] = []
    header = 0

    def close() -> None:
        where = f"{path}, line {header}"
        if parts:
            records.append(Record("".join(parts), label, where))
        elif header:
            problem(f"{where}: no sequence follows the header; take it out.")

    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if line.startswith(">"):
                close()
                header, parts = number, []
            elif line and not header:
                raise ValueError(
                    f"{path}, line {number}: a FASTA file begins with a header, but this is {line[:20]!r}; "
                    "put a line >name before each sequence."
                )
            elif line and not line.startswith(";"):
                parts.append(line.upper())
    close()
    if not records:
        problem(f"{path} holds no sequence; fill it or remove it.")
    return records


def read_genomes(root: Path, split_names: dict[str, tuple[str, ...]], problem: Problem = refuse) -> Splits:
    """Read a FASTA file, or a folder of them, for each class; or that in a folder for each split.

    Args:
        root: The folder.
        split_names: What the folder of each split may be called.
        problem: What is done about a header without a sequence.

    Raises:
        FileNotFoundError: If there is no FASTA file.
        ValueError: If letters come before the first header.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; {beside(root)}")
    found: Splits = {}
    for split, names in split_names.items():
        folder = next((root / name for name in names if (root / name).is_dir()), None)
        if folder is not None and (records := _classes(folder, problem)):
            found[split] = records
    if "train" not in found:
        found = {"train": _classes(root, problem)}
    if not found["train"]:
        raise FileNotFoundError(
            f"{root} has no FASTA file ({', '.join(FASTA)}) and no folder of them; {beside(root / 'x')}"
        )
    return found


def _classes(folder: Path, problem: Problem) -> list[Record]:
    records = []
    for entry in sorted(folder.iterdir()):
        files = sorted(entry.iterdir()) if entry.is_dir() else [entry]
        label = entry.name if entry.is_dir() else bare_name(entry)
        for path in files:
            if path.is_file() and kind_of(path) in FASTA:
                records += read_fasta(path, label, problem)
    return records
