"""Sequences whose label is not known: what a trained network is asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from subquad.base.hidden import visible
from subquad.base.suggest import beside
from subquad.data.text_files import PACKED, kind_of, open_text
from subquad.tasks.sequences.data.bases import bases_of, letter_notes
from subquad.tasks.sequences.data.building import EncodeText
from subquad.tasks.sequences.data.genome import FASTA, read_fasta
from subquad.tasks.sequences.data.listops import clean_listops
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.reading import columns_of
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.tables import TABLES, Complain, Note, ignore, read_table, refuse
from subquad.tasks.sequences.data.unknown import UnknownTokens
from subquad.tasks.sequences.data.values import parse_numbers
from subquad.tasks.sequences.data.vocabulary import DNA, GREY, LISTOPS, Unit, Vocabulary, in_case

UNITS: dict[str, Unit] = {"characters": "characters", "bytes": "bytes", "words": "words", "ids": "words"}


def read_unlabelled(
    path: Path,
    options: SequenceOptions,
    vocabulary: Vocabulary | None = None,
    problem: Complain = refuse,
    note: Note = ignore,
) -> list[Record]:
    """Read sequences without their labels.

    Args:
        path: A table (a sequence a row), FASTA, a `.txt` file (one sequence) or a folder of them, in
            which what is hidden is left out.
        options: Of the training; the column and the header of a table are taken from them.
        vocabulary: Of the network; None if it reads real values.
        problem: What is done about an empty or broken row.
        note: Told what a user may want to know.

    Returns:
        Records without labels, in the order of the file.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If it is none of these.
    """
    if path.is_dir():
        files = [file for file in visible(path) if kind_of(file) == ".txt"]
        if not files:
            raise FileNotFoundError(f"there are no .txt files in {path}; {beside(path / 'x')}")
        return [
            record for file in files for record in read_unlabelled(file, options, vocabulary, problem, note)
        ]
    if not path.is_file():
        raise FileNotFoundError(f"there is no file or folder {path}; {beside(path)}")
    kind = kind_of(path)
    if kind == ".txt":
        if not path.stat().st_size:
            problem(f"{path} is empty; fill it or leave it out.")
            return []
        return [Record(path, "", str(path))]
    if kind in FASTA:
        return _from_fasta(path, vocabulary, problem, note)
    if kind not in TABLES:
        raise ValueError(
            f"{path} is no file of sequences; take {', '.join((*TABLES, '.txt', *FASTA))}, also with "
            f"{' or '.join(PACKED)}, or a folder of .txt files."
        )
    columns = columns_of(options, None)
    if vocabulary is None:
        columns = replace(columns, tokens="numbers")
    elif vocabulary.with_cls() in (GREY.with_cls(), LISTOPS):  # whatever the option says
        columns = replace(columns, tokens="words")
    return read_table(path, columns, problem, note)


def _from_fasta(path: Path, vocabulary: Vocabulary | None, problem: Complain, note: Note) -> list[Record]:
    if vocabulary is not None and _is_of_bases(vocabulary):
        letters: Counter[str] = Counter()
        records = read_fasta(path, "", problem, letters)
        for text in letter_notes(letters):
            note(f"{path}: {text}")
        return records
    records = read_fasta(path, "", problem)
    if vocabulary is None or any(token.islower() for token in vocabulary.tokens if len(token) == 1):
        return records
    capitals = [record._replace(sequence=in_case(str(record.sequence), "upper")) for record in records]
    if capitals != records:
        note(
            f"{path}: small letters, as in masked repeats, count as capitals: the network knows those alone."
        )
    return capitals


def _is_of_bases(vocabulary: Vocabulary) -> bool:
    return vocabulary.with_cls() == DNA.with_cls()


def unlabelled_encoder(
    vocabulary: Vocabulary | None, unknown: UnknownTokens | None = None
) -> Callable[[Record], Tensor]:
    """Return what turns a record into inputs: tokens (n,), or values (n, features) without a vocabulary.

    It raises ValueError, with the place, for what is no token or no number.

    Args:
        vocabulary: Of the network; None if it reads real values.
        unknown: Counts the tokens that the vocabulary does not have.
    """
    if vocabulary is None:
        return _numbers
    encode = EncodeText(vocabulary)

    def encode_record(record: Record) -> Tensor:
        if vocabulary.unit == "bytes" and isinstance(record.sequence, Path):
            return encode(record)  # a file need not be UTF-8
        text = _bare_text(record, vocabulary)
        inputs = encode(record._replace(sequence=text))
        if unknown is not None:
            unknown.add(text)
        return inputs

    return encode_record


def _bare_text(record: Record, vocabulary: Vocabulary) -> str:
    """Return the text of a record without what is none of its tokens."""
    text = _text_of(record)
    if vocabulary.tokens == LISTOPS.tokens:
        return " ".join(clean_listops(text))
    if _is_of_bases(vocabulary):
        try:
            return bases_of(text)
        except ValueError as error:
            raise ValueError(f"{record.where}: {error}") from error
    if vocabulary.unit == "characters" and isinstance(record.sequence, Path):
        # Line ends are what an editor puts into a file, unless training knew them.
        return text.removesuffix("\n") if "\n" in vocabulary.tokens else "".join(text.splitlines())
    return text


def _text_of(record: Record) -> str:
    if not isinstance(record.sequence, Path):
        return str(record.sequence)
    with open_text(record.sequence) as text:
        return text.read()


def _numbers(record: Record) -> Tensor:
    text = _text_of(record)
    try:
        return parse_numbers(text)
    except ValueError as error:
        raise ValueError(f"{record.where}: {error}") from error


def encode_all(
    records: Sequence[Record],
    encode: Callable[[Record], Tensor],
    in_features: int,
    problem: Complain,
) -> list[tuple[Record, Tensor]]:
    """Turn records into inputs, leaving out those that cannot be.

    Args:
        records: What was read.
        encode: Of `unlabelled_encoder`.
        in_features: Values at each position, where there are no tokens.
        problem: What is done about those that cannot be.
    """
    encoded = []
    for record in records:
        try:
            inputs = encode(record)
        except ValueError as error:
            problem(str(error))
            continue
        if not len(inputs):
            problem(f"{record.where}: the sequence is empty; fill it or leave it out.")
        elif inputs.dim() == 2 and inputs.shape[1] != in_features:
            problem(
                f"{record.where}: {inputs.shape[1]} values at each position, but the network reads "
                f"{in_features}."
            )
        else:
            encoded.append((record, inputs))
    return encoded
