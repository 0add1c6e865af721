"""The options of sequence data, as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from subquad.tasks.sequences.data.pathfinder import Difficulty
from subquad.tasks.sequences.data.samples import Crop, TargetKind
from subquad.tasks.sequences.data.vocabulary import Case

DataName = Literal[
    "adding", "order", "listops", "pathfinder", "text", "image", "long_document", "genome", "csv"
]  # fmt: skip
Tokens = Literal["characters", "bytes", "words", "ids", "numbers"]
# The most positions that are kept if no length is given; the longest sequence of training for the others.
USUAL_LENGTH = {"adding": 128, "order": 128, "text": 4096, "long_document": 16384, "genome": 16384}


@dataclass
class SequenceOptions:
    """Which sequences, and how they are presented.

    Attributes:
        name: "adding", "order", "listops" and "pathfinder" are made as they are needed; listops and
            pathfinder read the files of Long Range Arena if `root` or `file` is given. "text" (IMDB),
            "image" (CIFAR-10, grey), "long_document" (a folder of .txt for each class), "genome" (FASTA
            or a table) and "csv" (a table of your own: CSV, TSV or JSONL) are read.
        root: Folder of the data. text and image look into $SUBQUAD_DATA/imdb and $SUBQUAD_DATA/cifar10
            if it is not given.
        file: Instead of a folder, the table of training ("csv", "genome", "listops").
        val_file: Table of validation; a part of training if not given.
        test_file: Table of testing; a part of training if not given.
        length: Positions of made sequences ("adding", "order"), or the most that they have ("listops",
            which is 501 to 1999 if not given); of those that are read the most that are kept.
        crop: Which end of longer sequences is kept.
        cls: Whether one more position is put in front, the token <cls> or a row of zeros: the place
            that a network with pooling "cls" reads.
        pad: Fill up to the longest of a "batch", or always to `length`, so that every batch is equally
            wide (for compiled networks).
        samples: Made sequences in an epoch of training.
        eval_samples: Made sequences for validation, and for testing.
        size: Height and width of made pathfinder pictures, 32 or 128.
        difficulty: Of pathfinder: 6, 9 or 14 dashes in the long curves.
        sequence_column: Where tables have the sequence; a number, from 0, if `header` is off.
        label_column: Where tables have the label.
        header: Whether CSV and TSV tables name their columns in the first row.
        separator: Between the cells of CSV and TSV tables, one character or "tab". If not given it is
            what Excel's line `sep=` says, or else a comma in CSV and a tab in TSV, unless another one
            is needed to find the columns, which is said.
        tokens: What sequences of a table are made of: "characters", UTF-8 "bytes", "words" between
            spaces, "ids" (whole numbers from 0) or "numbers" (real values). JSONL may have lists of
            words, ids or numbers, or for several features a list of lists.
        case: Whether small letters are read as capitals ("upper"), capitals as small letters ("lower"),
            or neither ("keep"); of characters and words.
        unknown: Whether to go on ("allow") or not ("refuse") if more than a fifth of the tokens are
            those that training does not have.
        task: Whether labels of a table are classes or numbers to be predicted.
        standard_units: Whether the network brings real values, and the values that a regression is to
            tell, to mean 0 and deviation 1 of those of training ("csv").
        min_length: Shorter sequences are left out ("genome").
        val_fraction: Part of training that becomes validation if there is no file or folder of it.
        test_fraction: The same for testing.
        seed: Decides made sequences, the split, and the order of training.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process.
        buckets: Whether a batch holds sequences of like length: their lengths have the same power of
            two above them.
        workers: Loader processes for each training process; 0 loads in the training process.

    Raises:
        ValueError: If a value is out of range.
    """

    name: DataName = "csv"
    root: str | None = None
    file: str | None = None
    val_file: str | None = None
    test_file: str | None = None
    length: int | None = None
    crop: Crop = "head"
    cls: bool = False
    pad: Literal["batch", "length"] = "batch"
    samples: int = 100_000
    eval_samples: int = 1000
    size: int = 32
    difficulty: Difficulty = "hard"
    sequence_column: str = "sequence"
    label_column: str = "label"
    header: bool = True
    separator: str | None = None
    tokens: Tokens = "characters"
    case: Case = "keep"
    unknown: Literal["refuse", "allow"] = "refuse"
    task: TargetKind = "classification"
    standard_units: bool = True
    min_length: int = 1
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    seed: int = 0
    batch_size: int = 32
    eval_batch_size: int = 64
    buckets: bool = True
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        kinds: tuple[str, ...] = get_args(DataName)
        choices = {
            "name": kinds,
            "tokens": get_args(Tokens),
            "task": get_args(TargetKind),
            "crop": get_args(Crop),
        }
        choices |= {"pad": ("batch", "length"), "case": get_args(Case), "unknown": ("refuse", "allow")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: take one of {', '.join(allowed)}.")
        least = {"samples": 1, "eval_samples": 1, "batch_size": 1, "eval_batch_size": 1, "min_length": 1}
        for name, low in (least | {"seed": 0, "workers": 0}).items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}.")
        if self.separator in ("tab", "\\t"):
            self.separator = "\t"
        if self.separator is not None and (len(self.separator) != 1 or self.separator in '"\r\n '):
            raise ValueError(f"separator={self.separator!r}: give one character, such as ';', or tab.")
        if self.case != "keep" and not self.has_case:
            raise ValueError(
                f"case={self.case!r} is for characters and words that training learns (name='csv' or "
                "'long_document'); leave it out (--data.case)."
            )
        if self.length is not None and self.length < 1:
            raise ValueError(f"length must be at least 1, got {self.length}.")
        if min(self.val_fraction, self.test_fraction) < 0 or self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction={self.val_fraction} and test_fraction={self.test_fraction} must be from 0 on "
                "and leave something for training."
            )

    @property
    def has_case(self) -> bool:
        """Whether letters can count as others: those of a vocabulary that training learns."""
        learns = self.name == "csv" and self.tokens in ("characters", "words")
        return learns or self.name == "long_document"

    @property
    def is_made(self) -> bool:
        """Whether the sequences are made, not read."""
        from_files = self.root is not None or self.file is not None
        return self.name in ("adding", "order") or (self.name in ("listops", "pathfinder") and not from_files)
