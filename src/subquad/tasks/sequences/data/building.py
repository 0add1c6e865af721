"""From options to the data sets of training, validation and testing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subquad.base.limits import LARGEST_ID
from subquad.data.text_files import open_text, read_bytes
from subquad.tasks.sequences.data.grey import encode_grey
from subquad.tasks.sequences.data.listops import DIGITS, ListOps
from subquad.tasks.sequences.data.options import USUAL_LENGTH, SequenceOptions
from subquad.tasks.sequences.data.pathfinder import CLASSES, Pathfinder
from subquad.tasks.sequences.data.pathfinder_files import encode_picture
from subquad.tasks.sequences.data.reading import read_splits
from subquad.tasks.sequences.data.samples import Record, Records, SequenceDataset, SequenceInfo, WithCLS
from subquad.tasks.sequences.data.split import Splits
from subquad.tasks.sequences.data.standard import mean_and_deviation
from subquad.tasks.sequences.data.synthetic import Adding, TemporalOrder
from subquad.tasks.sequences.data.tables import Note, ignore
from subquad.tasks.sequences.data.targets import class_doubts, class_targets, find_classes, real_targets
from subquad.tasks.sequences.data.unknown import UnknownTokens, count_unknown
from subquad.tasks.sequences.data.values import number_records
from subquad.tasks.sequences.data.vocabulary import (
    BYTES,
    DNA,
    GREY,
    LISTOPS,
    Vocabulary,
    learned_vocabulary,
    numbered_vocabulary,
)

FIXED = {"text": BYTES, "genome": DNA, "listops": LISTOPS, "image": GREY, "pathfinder": GREY}
CLASSES_OF = {"text": ("neg", "pos"), "listops": DIGITS, "pathfinder": CLASSES}


def open_sequences(options: SequenceOptions, note: Note = ignore) -> dict[str, SequenceDataset]:
    """Open `"train"`, `"val"` and `"test"`, as far as there are any.

    Args:
        options: What to open.
        note: Told what a user may want to know.

    Returns:
        Data sets with the same classes and vocabulary.

    Raises:
        FileNotFoundError: If something is not there.
        ValueError: If a file cannot be understood.
    """
    if options.is_made:
        sizes = {"train": options.samples, "val": options.eval_samples, "test": options.eval_samples}
        opened: dict[str, SequenceDataset] = {
            split: _make(options, samples, split) for split, samples in sizes.items()
        }
    else:
        opened = {**build(options, read_splits(options, note=note))}
        for text in class_doubts(opened["train"].info.class_names):
            note(text)
    return {split: WithCLS(dataset) for split, dataset in opened.items()} if options.cls else opened


def build(options: SequenceOptions, splits: Splits) -> dict[str, Records]:
    """Turn records into samples.

    Args:
        options: How.
        splits: Records of `"train"`, which decides on classes and vocabulary, and of the others.

    Raises:
        ValueError: If a sequence or a label does not fit.
    """
    numbers = options.name == "csv" and options.tokens == "numbers"
    if numbers:
        splits = {split: number_records(records) for split, records in splits.items()}
    vocabulary = None if numbers else find_vocabulary(options, splits["train"])
    encode = find_encoder(options, vocabulary)
    lengths = {split: find_lengths(options, records, encode) for split, records in splits.items()}
    features = features_of(splits) if numbers else None
    length = options.length or USUAL_LENGTH.get(options.name) or int(lengths["train"].max())
    info = SequenceInfo(options.task if options.name == "csv" else "classification", length)
    if info.task == "classification":
        names = CLASSES_OF.get(options.name) or find_classes(splits["train"])
        targets: Any = {split: class_targets(records, names, split) for split, records in splits.items()}
    else:
        names, targets = (), {split: real_targets(records) for split, records in splits.items()}
    info = SequenceInfo(info.task, length, names, vocabulary, features)
    if numbers and options.standard_units:
        mean, std = mean_and_deviation([_identity(record) for record in splits["train"]])
        info = replace(info, mean=mean, std=std)
    if info.task == "regression" and options.standard_units:
        (center,), (spread,) = mean_and_deviation([torch.tensor(targets["train"]).unsqueeze(1)])
        info = replace(info, target_mean=center, target_std=spread)
    return {
        split: Records(records, targets[split], info, encode, lengths[split], options.crop)
        for split, records in splits.items()
    }


def find_vocabulary(options: SequenceOptions, train: list[Record]) -> Vocabulary:
    """Take the vocabulary of a kind, or learn one from the sequences of training."""
    if options.name in FIXED:
        return FIXED[options.name]
    if options.name == "csv" and options.tokens == "bytes":
        return BYTES
    if options.name == "long_document" or options.tokens == "characters":
        found: set[str] = set()
        for record in train:
            found.update(text_of(record))
        return learned_vocabulary(found, "characters", options.case)
    if options.tokens == "words":
        words = (word for record in train for word in text_of(record).split())
        return learned_vocabulary(words, "words", options.case)
    return numbered_vocabulary(1 + max(_largest(record) for record in train))


def text_of(record: Record) -> str:
    """Return the text of a record; of a file without its line ends, as in the original.

    Raises:
        ValueError: If the file is not UTF-8, or broken.
    """
    if isinstance(record.sequence, Path):
        with open_text(record.sequence) as text:
            return text.read().replace("\r", "").replace("\n", "")
    return str(record.sequence)


def unknown_tokens(dataset: SequenceDataset) -> UnknownTokens | None:
    """Count the tokens of texts that their vocabulary does not have; None where there can be none."""
    dataset = dataset.dataset if isinstance(dataset, WithCLS) else dataset
    vocabulary = dataset.info.vocabulary
    if not isinstance(dataset, Records) or vocabulary is None or vocabulary.unknown_id is None:
        return None
    return count_unknown(map(text_of, dataset.records), vocabulary)


@dataclass(frozen=True)
class EncodeText:
    """From records of text to tokens.

    Args:
        vocabulary: Of all texts.
    """

    vocabulary: Vocabulary

    def __call__(self, record: Record) -> Tensor:
        """Return the tokens, int64 (length,).

        Raises:
            ValueError: If there is an unknown token, or the file is broken.
        """
        if self.vocabulary.unit == "bytes" and isinstance(record.sequence, Path):
            data = bytearray(read_bytes(record.sequence))  # bytes need not be UTF-8, and line ends count
            return torch.frombuffer(data, dtype=torch.uint8).long() if data else torch.zeros(0).long()
        if isinstance(record.sequence, Tensor):
            return record.sequence.long()
        try:
            return self.vocabulary.encode(text_of(record))
        except ValueError as error:
            raise ValueError(f"{record.where}: {error}") from error


def find_encoder(options: SequenceOptions, vocabulary: Vocabulary | None) -> Callable[[Record], Tensor]:
    """Return what turns a record into inputs."""
    if options.name == "image":
        return encode_grey
    if options.name == "pathfinder":
        return encode_picture
    return _identity if vocabulary is None else EncodeText(vocabulary)


def find_lengths(
    options: SequenceOptions, records: list[Record], encode: Callable[[Record], Tensor]
) -> Tensor:
    """Return the positions of each record, int64 (records,), without encoding where that can be known.

    Raises:
        ValueError: If one is empty.
    """
    if options.name in ("image", "pathfinder"):
        return torch.full((len(records),), len(encode(records[0])) if records else 0)
    lengths = torch.tensor([_length(record, encode) for record in records], dtype=torch.int64)
    if len(lengths) and not lengths.min():
        raise ValueError(f"{records[int(lengths.argmin())].where}: the sequence is empty; remove it.")
    return lengths


def features_of(splits: Splits) -> int:
    """Return the number of values at each position of real-valued sequences.

    Raises:
        ValueError: If it differs.
    """
    first = splits["train"][0]
    features = _identity(first).shape[1]
    for record in (record for records in splits.values() for record in records):
        if _identity(record).shape[1] != features:
            raise ValueError(
                f"{record.where}: {_identity(record).shape[1]} values at each position, but {features} in "
                f"{first.where}; give all the same number."
            )
    return features


def _length(record: Record, encode: Callable[[Record], Tensor]) -> int:
    sequence, vocabulary = record.sequence, getattr(encode, "vocabulary", None)
    if isinstance(sequence, Tensor):
        return len(sequence)
    if isinstance(sequence, str) and vocabulary is not None and vocabulary.unit != "words":
        return (
            len(sequence)
            if vocabulary.unit == "characters"
            else len(sequence.encode(errors="surrogateescape"))
        )
    if isinstance(sequence, Path) and sequence.suffix == ".txt" and vocabulary is BYTES:
        return sequence.stat().st_size
    return len(encode(record))


def _make(options: SequenceOptions, samples: int, split: str) -> SequenceDataset:
    length = options.length or USUAL_LENGTH.get(options.name, 0)
    if options.name == "adding":
        return Adding(length, samples, seed=options.seed, split=split)
    if options.name == "order":
        return TemporalOrder(length, samples, seed=options.seed, split=split)
    if options.name == "listops":
        if options.length is None:
            return ListOps(samples, seed=options.seed, split=split)
        shortest = min(500, (options.length + 1) // 4)  # of 1999 as of no length: more than 500
        return ListOps(samples, shortest=shortest, longest=options.length + 1, seed=options.seed, split=split)
    if options.length not in (None, options.size**2):
        raise ValueError(
            f"length={options.length}: a picture of {options.size} x {options.size} has {options.size**2} "
            "positions; leave length (--data.length) out, or give another size (--data.size)."
        )
    return Pathfinder(
        samples, size=options.size, difficulty=options.difficulty, seed=options.seed, split=split
    )


def _identity(record: Record) -> Tensor:
    assert isinstance(record.sequence, Tensor)
    return record.sequence


def _largest(record: Record) -> int:
    words = text_of(record).split()
    for word in words:
        if not (word.isascii() and word.isdecimal()):
            raise ValueError(
                f"{record.where}: {word!r} is no whole number from 0 on; "
                "take tokens=words (--data.tokens words) for names, "
                "or tokens=numbers (--data.tokens numbers) for real values."
            )
    # By their digits first: Python refuses to read some thousands of them.
    largest = max(map(int, words), default=0) if max(map(len, words), default=0) < 99 else max(words, key=len)
    if isinstance(largest, str) or largest > LARGEST_ID:
        shown = str(largest)[:20]
        raise ValueError(
            f"{record.where}: the id {shown} is above {LARGEST_ID}, and each has a row in a table; "
            "number the tokens from 0 on, or take tokens=words (--data.tokens words)."
        )
    return largest
