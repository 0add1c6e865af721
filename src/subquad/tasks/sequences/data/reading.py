"""From folders and files on disk to records, split by split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch

from subquad.base.hidden import visible
from subquad.base.suggest import beside
from subquad.data.shared import data_folder
from subquad.data.text_files import PACKED, find_file, kind_of, open_text
from subquad.tasks.sequences.data.bases import bases_of, keep_bases, letter_notes
from subquad.tasks.sequences.data.genome import FASTA, read_genomes
from subquad.tasks.sequences.data.grey import read_grey
from subquad.tasks.sequences.data.listops import clean_listops
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.pathfinder_files import read_pathfinder
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.split import Splits, complete
from subquad.tasks.sequences.data.tables import TABLES, Columns, Complain, Note, ignore, read_table, refuse
from subquad.tasks.sequences.data.vocabulary import LISTOPS

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test",),
}
SENTIMENTS = {"0": "neg", "1": "pos", "neg": "neg", "pos": "pos"}


def read_splits(options: SequenceOptions, problem: Complain = refuse, note: Note = ignore) -> Splits:
    """Read what the options name, and split what comes as one.

    Args:
        options: Of a kind that is read.
        problem: What is done about an empty or broken sequence.
        note: Told what a user may want to know.

    Returns:
        Records of `"train"`, and of `"val"` and `"test"` unless their fractions are 0.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If a file cannot be understood.
    """
    reader = {
        "text": _read_text,
        "image": lambda options, *_: read_grey(_root(options, "cifar10")),
        "long_document": lambda options, problem, _: read_classes(_root(options), problem),
        "genome": _read_genome,
        "listops": _read_listops,
        "pathfinder": lambda options, problem, _: read_pathfinder(
            _root(options), options.difficulty, problem
        ),
        "csv": _read_tables,
    }[options.name]
    splits = reader(options, problem, note)
    by_label = options.name != "csv" or options.task == "classification"
    fractions = {"test": options.test_fraction, "val": options.val_fraction}
    return complete(splits, fractions, options.seed, by_label, problem)


def read_classes(root: Path, problem: Complain = refuse, classes: tuple[str, ...] = ()) -> Splits:
    """Find the text files of a folder for each class, or of that in a folder for each split.

    The files are read when they are needed.

    Args:
        root: The folder.
        problem: What is done about an empty file.
        classes: Their names; every folder with text files if none are given.

    Raises:
        FileNotFoundError: If there are no such folders.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; {beside(root)}")
    found: Splits = {}
    for split, names in SPLIT_NAMES.items():
        for name in names:
            if split not in found and (records := _class_folders(root / name, problem, classes)):
                found[split] = records
    if "train" not in found:
        found = {"train": _class_folders(root, problem, classes)}
    if not found["train"]:
        wanted = " and ".join(classes) or "one for each class"
        raise FileNotFoundError(f"{root} has no folders ({wanted}) of .txt files; {beside(root / 'x')}")
    return found


def _class_folders(root: Path, problem: Complain, classes: tuple[str, ...]) -> list[Record]:
    inside = visible(root) if root.is_dir() else ()
    folders = [path for path in inside if path.is_dir() and (not classes or path.name in classes)]
    records = []
    for folder in folders:
        for path in visible(folder):
            if kind_of(path) != ".txt":
                continue
            if path.stat().st_size:
                records.append(Record(path, folder.name, str(path)))
            else:
                problem(f"{path} is empty; fill it or remove it.")
    return records


def _read_text(options: SequenceOptions, problem: Complain, note: Note) -> Splits:
    root = _root(options, "imdb")
    root = root / "aclImdb" if (root / "aclImdb").is_dir() else root
    tables = {split: find_file(root, names, (".jsonl",)) for split, names in SPLIT_NAMES.items()}
    if tables["train"] is None:
        return read_classes(root, problem, ("neg", "pos"))
    splits: Splits = {}
    for split, path in tables.items():
        if path is not None:
            splits[split] = []
            for record in read_table(path, Columns("text", "label"), problem, note):
                if record.label not in SENTIMENTS:
                    problem(f"{record.where}: the label {record.label!r} is neither 0 nor 1; mend it.")
                else:
                    splits[split].append(record._replace(label=SENTIMENTS[record.label]))
    return splits


def _read_genome(options: SequenceOptions, problem: Complain, note: Note) -> Splits:
    if options.file is None:
        splits = read_genomes(_root(options), SPLIT_NAMES, problem, note)
    elif kind_of(Path(options.file)) in FASTA:
        raise ValueError(
            f"file={options.file} is FASTA, which tells no class; give root (--data.root), a folder with one "
            "file, or one folder of files, for each class."
        )
    else:
        splits = _bases(_read_tables(options, problem, note), options.file, problem, note)
    least = options.min_length
    kept = {
        split: [record for record in records if len(str(record.sequence)) >= least]
        for split, records in splits.items()
    }
    if splits["train"] and not kept["train"]:
        longest = max(len(str(record.sequence)) for record in splits["train"])
        raise ValueError(
            f"min_length={least}, but the longest sequence of training has {longest} letters; "
            "lower it (--data.min_length)."
        )
    return kept


def _bases(splits: Splits, source: str, problem: Complain, note: Note) -> Splits:
    """Read the sequences of tables as those of FASTA files are read."""
    letters: Counter[str] = Counter()
    found: Splits = {}
    for split, records in splits.items():
        bare = []
        for record in records:
            try:
                bare.append(record._replace(sequence=bases_of(str(record.sequence))))
            except ValueError as error:
                problem(f"{record.where}: {error}")
        found[split] = keep_bases(bare, f"{split} of {source}", problem, letters)
    for text in letter_notes(letters):
        note(f"{source}: {text}")
    return found


def _read_tables(options: SequenceOptions, problem: Complain, note: Note) -> Splits:
    columns = columns_of(options, options.label_column)
    return {
        split: read_table(path, columns, problem, note) for split, path in _tables(options, TABLES).items()
    }


def columns_of(options: SequenceOptions, label: str | None) -> Columns:
    """Return which columns of a table the options name, with that of the label or without."""
    tokens = options.tokens if options.name == "csv" else "characters"
    return Columns(options.sequence_column, label, options.header, options.separator, tokens)


def _read_listops(options: SequenceOptions, problem: Complain, note: Note) -> Splits:
    return {
        split: _listops_file(path, problem) for split, path in _tables(options, (".tsv",), "basic_").items()
    }


def _listops_file(path: Path, problem: Complain) -> list[Record]:
    """Read Source and Target of Long Range Arena, or label and expression of the original."""
    records = []
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            cells = [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
            if number == 1 and cells == ["Source", "Target"]:
                continue
            expression, label = (*cells, "", "")[:2]
            if len(expression) == 1 and label:
                expression, label = label, expression
            where = f"{path}, row {number}"
            if len(cells) != 2 or label not in set("0123456789") or not expression:
                problem(f"{where}: it is not an expression, a tab, and a digit; mend it or take it out.")
                continue
            try:  # as text, the 96,000 expressions of training would fill a third of a gigabyte
                tokens = LISTOPS.encode(" ".join(clean_listops(expression))).to(torch.uint8)
            except ValueError as error:
                problem(f"{where}: {error}")
            else:
                records.append(Record(tokens, label, where))
    if not records:
        problem(f"{path} holds no expression with its value; fill it.")
    return records


def _tables(options: SequenceOptions, kinds: tuple[str, ...], prefix: str = "") -> dict[str, Path]:
    """Find the table of each split: those named, or those in the folder."""
    if options.file is not None:
        named = {"train": options.file, "val": options.val_file, "test": options.test_file}
        return {split: Path(path) for split, path in named.items() if path is not None}
    root = _root(options)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; {beside(root)}")
    found = {}
    for split, names in SPLIT_NAMES.items():
        path = find_file(root, (*(prefix + name for name in names), *names), kinds)
        if path is not None:
            found[split] = path
    if "train" not in found:
        suffixes = " or ".join(kinds) + ", also with " + " or ".join(PACKED)
        raise FileNotFoundError(f"there is no {root / (prefix + 'train')} ({suffixes}); {beside(root / 'x')}")
    return found


def _root(options: SequenceOptions, shared: str = "") -> Path:
    """Return the folder, or that below the folder of shared data sets."""
    who, give = f"name={options.name!r}", "root (--data.root)"
    if shared:
        return data_folder(shared, options.root, who=who, give=give)
    if options.root is not None:
        return Path(options.root)
    also = " or file (--data.file)" if options.name in ("csv", "genome") else ""
    raise ValueError(f"{who} does not know where the data are; give {give}{also}.")
