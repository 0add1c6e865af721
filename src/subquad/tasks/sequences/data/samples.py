"""Samples of sequences, what is known of all of them, and the data set made of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from subquad.data.fingerprint import file_parts, parts_of, tensor_bytes
from subquad.tasks.sequences.data.vocabulary import Vocabulary

TargetKind = Literal["classification", "regression"]
Crop = Literal["head", "tail"]


class SequenceSample(NamedTuple):
    """One sequence with what is to be predicted.

    Attributes:
        inputs: Tokens, int64 (length,), or real values, float32 (length, features).
        target: A class from 0 on, or a real number.
    """

    inputs: Tensor
    target: int | float


@dataclass(frozen=True)
class SequenceInfo:
    """What a network must know of the data.

    Attributes:
        task: `"classification"` or `"regression"`.
        length: The most positions that a sample has.
        class_names: The classes in the order of their numbers; empty for regression.
        vocabulary: The tokens; None for real values.
        in_features: Values at each position; None for tokens.
        mean: Of each feature over the sequences of training, if they are of one's own; None: not known.
        std: The deviation of each, above 0; None where `mean` is.
        target_mean: Of the values that a regression is to tell, over those of training; 0: not known.
        target_std: Their deviation, above 0; 1: not known.
    """

    task: TargetKind
    length: int
    class_names: tuple[str, ...] = ()
    vocabulary: Vocabulary | None = None
    in_features: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    target_mean: float = 0.0
    target_std: float = 1.0


class SequenceDataset(Protocol):
    """What every data set of sequences is."""

    @property
    def info(self) -> SequenceInfo:
        """What a network must know."""
        ...

    @property
    def lengths(self) -> Tensor | None:
        """Positions of each sample, int64 (samples,), or None if that is only known when it is made."""
        ...

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def __getitem__(self, index: int) -> SequenceSample:
        """The sample at `index`; IndexError when there is none."""
        ...


class Record(NamedTuple):
    """A sequence as it was read.

    Attributes:
        sequence: Its text, or a file that holds it, or a JPEG file, or its pixels or numbers.
        label: As it was written.
        where: File and row, for messages.
    """

    sequence: str | bytes | Path | Tensor
    label: str
    where: str


def cut(inputs: Tensor, longest: int, crop: Crop) -> Tensor:
    """Return at most so many positions, of the beginning or of the end."""
    return inputs[:longest] if crop == "head" else inputs[-longest:]


def with_cls(inputs: Tensor, vocabulary: Vocabulary | None) -> Tensor:
    """Put the token `<cls>` of the vocabulary in front; a row of zeros if there is none."""
    first: Any = 0 if vocabulary is None else vocabulary.cls_id
    return torch.cat([inputs.new_full((1, *inputs.shape[1:]), first), inputs])


class Records(Dataset[SequenceSample]):
    """Samples made of records, each when it is asked for.

    Args:
        records: What was read.
        targets: The class or the number of each.
        info: What a network must know; its `length` is the longest sample that is let through.
        encode: From the sequence of a record to inputs.
        lengths: Positions of each sequence before it is shortened, int64 (records,).
        crop: Which end is kept of longer sequences.
    """

    def __init__(
        self,
        records: Sequence[Record],
        targets: Sequence[int | float],
        info: SequenceInfo,
        encode: Callable[[Record], Tensor],
        lengths: Tensor,
        crop: Crop = "head",
    ) -> None:
        self.records, self.targets, self.info = records, targets, info
        self.encode = encode
        self.crop: Crop = crop
        self.lengths: Tensor = lengths.clamp_max(info.length)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> SequenceSample:
        inputs = cut(self.encode(self.records[index]), self.info.length, self.crop)
        return SequenceSample(inputs, self.targets[index])

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return labels and sequences; of those in files, names and sizes."""
        files: list[Path] = []
        for sequence, label, _ in self.records:
            if isinstance(sequence, Path):
                files.append(sequence)
            elif isinstance(sequence, Tensor):
                yield tensor_bytes(sequence)
            else:
                yield sequence.encode() if isinstance(sequence, str) else sequence
            yield label.encode()
        yield from file_parts(files)


class WithCLS(Dataset[SequenceSample]):
    """The same samples with one more position in front: the token `<cls>`, or a row of zeros.

    Args:
        dataset: Any data set of sequences.
    """

    def __init__(self, dataset: SequenceDataset) -> None:
        info = dataset.info
        vocabulary = None if info.vocabulary is None else info.vocabulary.with_cls()
        self.dataset = dataset
        self.info = replace(info, vocabulary=vocabulary, length=info.length + 1)
        self.lengths: Tensor | None = None if dataset.lengths is None else dataset.lengths + 1

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> SequenceSample:
        inputs, target = self.dataset[index]
        return SequenceSample(with_cls(inputs, self.info.vocabulary), target)

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return those of the samples without the position in front."""
        return parts_of(self.dataset)
