"""Sequences whose label is not known: what a trained network is asked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from subquad.data.sequences.building import EncodeText
from subquad.data.sequences.files import PACKED, beside, kind_of, open_text
from subquad.data.sequences.genome import FASTA, read_fasta
from subquad.data.sequences.listops import clean_listops
from subquad.data.sequences.options import SequenceOptions
from subquad.data.sequences.samples import Record
from subquad.data.sequences.tables import TABLES, Problem, read_table, refuse
from subquad.data.sequences.values import parse_numbers
from subquad.data.sequences.vocabulary import LISTOPS, Unit, Vocabulary

UNITS: dict[str, Unit] = {"characters": "characters", "bytes": "bytes", "words": "words", "ids": "words"}


def read_unlabelled(path: Path, options: SequenceOptions, problem: Problem = refuse) -> list[Record]:
    """Read sequences without their labels.

    Args:
        path: A table (a sequence a row), FASTA, a `.txt` file (one sequence) or a folder of them.
        options: Of the training; the column and the header of a table are taken from them.
        problem: What is done about an empty or broken row.

    Returns:
        Records without labels, in the order of the file.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If it is none of these.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if kind_of(file) == ".txt")
        if not files:
            raise FileNotFoundError(f"there are no .txt files in {path}; {beside(path / 'x')}")
        return [record for file in files for record in read_unlabelled(file, options, problem)]
    if not path.is_file():
        raise FileNotFoundError(f"there is no file or folder {path}; {beside(path)}")
    kind = kind_of(path)
    if kind == ".txt":
        if not path.stat().st_size:
            problem(f"{path} is empty; fill it or leave it out.")
            return []
        return [Record(path, "", str(path))]
    if kind in FASTA:
        return read_fasta(path, "", problem)
    if kind not in TABLES:
        raise ValueError(
            f"{path} is no file of sequences; take {', '.join((*TABLES, '.txt', *FASTA))}, also with "
            f"{' or '.join(PACKED)}, or a folder of .txt files."
        )
    return read_table(path, options.sequence_column, None, problem, options.header)


def unlabelled_encoder(vocabulary: Vocabulary | None) -> Callable[[Record], Tensor]:
    """Return what turns a record into inputs: tokens (n,), or values (n, features) without a vocabulary.

    It raises ValueError, with the place, for what is no token or no number.
    """
    if vocabulary is None:
        return _numbers
    encode = EncodeText(vocabulary)
    is_listops = vocabulary.tokens == LISTOPS.tokens

    def encode_record(record: Record) -> Tensor:
        if vocabulary.unit == "bytes" and isinstance(record.sequence, Path):
            return encode(record)  # a file need not be UTF-8
        text = _text_of(record)
        if is_listops:
            text = " ".join(clean_listops(text))
        elif vocabulary.unit == "characters" and isinstance(record.sequence, Path):
            # Line ends are what an editor puts into a file, unless training knew them.
            text = text.removesuffix("\n") if "\n" in vocabulary.tokens else "".join(text.splitlines())
        return encode(record._replace(sequence=text))

    return encode_record


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
    problem: Problem,
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
