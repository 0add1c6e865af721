"""Genomes: FASTA files, one or several for each class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from subquad.base.hidden import visible
from subquad.base.suggest import beside
from subquad.data.text_files import bare_name, kind_of, open_text
from subquad.tasks.sequences.data.bases import bases_of, keep_bases, letter_notes, without_positions
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.split import Splits
from subquad.tasks.sequences.data.tables import Complain, Note, ignore, refuse

FASTA = (".fa", ".fasta", ".fna", ".ffn", ".fas")


def read_fasta(
    path: Path, label: str, problem: Complain = refuse, letters: Counter[str] | None = None
) -> list[Record]:
    """Read the sequences of a FASTA file, as they are written but for blanks and positions.

    Args:
        path: The file, packed or not.
        label: The class of all of them.
        problem: What is done about a header without a sequence, and about what is no letter.
        letters: Is told the letters, which must be those of nucleic acids, and which then become
            capitals; None: any characters will do.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If letters come before the first header, or are none of a nucleic acid.
    """
    records: list[Record] = []
    parts: list[str] = []
    header, broken = 0, False

    def close() -> None:
        where = f"{path}, line {header}"
        if parts and not broken:
            records.append(Record("".join(parts), label, where))
        elif header and not broken:
            problem(f"{where}: no sequence follows the header; take it out.")

    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if line.startswith(">"):
                close()
                header, parts, broken = number, [], False
            elif line and not header:
                raise ValueError(
                    f"{path}, line {number}: a FASTA file begins with a header, but this is {line[:20]!r}; "
                    "put a line >name before each sequence."
                )
            elif line and not line.startswith(";"):
                try:
                    part = without_positions(line) if letters is None else bases_of(line)
                except ValueError as error:
                    broken = True
                    problem(f"{path}, line {number}: {error}")
                else:
                    parts += [part] if part else []
    close()
    if not header:
        problem(f"{path} holds no sequence; fill it or remove it.")
    return records if letters is None else keep_bases(records, path, problem, letters)


def read_genomes(
    root: Path, split_names: dict[str, tuple[str, ...]], problem: Complain = refuse, note: Note = ignore
) -> Splits:
    """Read a FASTA file, or a folder of them, for each class; or that in a folder for each split.

    Args:
        root: The folder. What is hidden in it is left out.
        split_names: What the folder of each split may be called.
        problem: What is done about a header without a sequence, and about what is no letter.
        note: Told how letters are read that are no A, C, G, T or N.

    Raises:
        FileNotFoundError: If there is no FASTA file.
        ValueError: If letters come before the first header, or are none of a nucleic acid.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; {beside(root)}")
    found: Splits = {}
    letters: Counter[str] = Counter()
    for split, names in split_names.items():
        folder = next((root / name for name in names if (root / name).is_dir()), None)
        if folder is not None and (records := _classes(folder, problem, letters)):
            found[split] = records
    if "train" not in found:
        found = {"train": _classes(root, problem, letters)}
    if not found["train"] and not _files(root):
        raise FileNotFoundError(
            f"{root} has no FASTA file ({', '.join(FASTA)}) and no folder of them; {beside(root / 'x')}"
        )
    for text in letter_notes(letters):
        note(f"{root}: {text}")
    return found


def _classes(folder: Path, problem: Complain, letters: Counter[str]) -> list[Record]:
    files = _files(folder)
    return [record for path, label in files for record in read_fasta(path, label, problem, letters)]


def _files(folder: Path) -> list[tuple[Path, str]]:
    """Return the FASTA files of a folder and of the folders in it, each with its class."""
    found = []
    for entry in visible(folder):
        files = visible(entry) if entry.is_dir() else [entry]
        label = entry.name if entry.is_dir() else bare_name(entry)
        found += [(path, label) for path in files if path.is_file() and kind_of(path) in FASTA]
    return found
