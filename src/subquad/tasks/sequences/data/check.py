"""Looking sequences over before training: what is in them, what is wrong, and how to mend it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from subquad.base.suggest import and_more
from subquad.tasks.sequences.data.building import (
    CLASSES_OF,
    FIXED,
    USUAL_LENGTH,
    find_encoder,
    find_vocabulary,
    open_sequences,
    text_of,
)
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.data.reading import read_splits
from subquad.tasks.sequences.data.report import SequenceReport, SequenceSplit
from subquad.tasks.sequences.data.samples import Record
from subquad.tasks.sequences.data.split import Splits
from subquad.tasks.sequences.data.tables import Doubt
from subquad.tasks.sequences.data.targets import class_doubts, class_targets, find_classes, real_targets
from subquad.tasks.sequences.data.unknown import ALLOW, UnknownTokens
from subquad.tasks.sequences.data.values import number_records
from subquad.tasks.sequences.data.vocabulary import Vocabulary

SHOWN = 3
PICTURES = ("image", "pathfinder")


def check_sequences(options: SequenceOptions) -> SequenceReport:
    """Read every sequence that the options name.

    Bad contents never raise: they are in the report, each with a remedy.

    Args:
        options: What to look over; of made sequences the first 200 of each split are made.

    Raises:
        FileNotFoundError: If the data are not there.
        ValueError: If a file cannot be read at all, or has not got the columns.
    """
    if options.is_made:
        return _check_made(options)
    problems: list[str] = []
    notes: list[str] = []

    def note(text: str) -> None:
        (problems if isinstance(text, Doubt) else notes).append(text)

    found = read_splits(options, problems.append, note)
    splits = {name: list(records) for name, records in found.items()}
    is_real = options.name == "csv" and options.tokens == "numbers"
    if is_real:
        splits = {name: number_records(records, problems.append) for name, records in splits.items()}
        problems += _features(splits)
    names = _check_labels(options, splits, problems)
    vocabulary = None if is_real or not splits.get("train") else _vocabulary(options, splits, problems)
    scan = _Scan(options, vocabulary, problems, notes)
    reports: list[SequenceSplit] = []
    seen: dict[str, dict[bytes, str]] = {}
    for split, records in splits.items():
        report = SequenceSplit(split, labels=Counter(record.label for record in records))
        seen[split] = scan.read(records, report)
        reports.append(report)
    most = max((length for report in reports for length in report.lengths), default=0)
    kept = options.length or USUAL_LENGTH.get(options.name) or most
    notes += _notes(options, reports, kept, vocabulary)
    for report in reports:
        _tell_unknown(options, report, problems, notes)
    problems += _shared(seen)
    source = options.file or options.root or options.name
    return SequenceReport(str(source), reports, names, kept, problems, notes)


def _check_made(options: SequenceOptions) -> SequenceReport:
    reports = []
    datasets = open_sequences(options)
    info = datasets["train"].info
    for split, dataset in datasets.items():
        report = SequenceSplit(split)
        for index in range(min(200, len(dataset))):
            sample = dataset[index]
            report.lengths[len(sample.inputs)] += 1
            if info.class_names:
                report.labels[info.class_names[int(sample.target)]] += 1
        reports.append(report)
    note = "these sequences are made as they are needed; the first 200 of each split were counted."
    return SequenceReport(options.name, reports, info.class_names, info.length, [], [note])


def _check_labels(options: SequenceOptions, splits: Splits, problems: list[str]) -> tuple[str, ...]:
    train = splits.get("train", [])
    if options.name == "csv" and options.task == "regression":
        for records in splits.values():
            real_targets(records, problems.append)
        return ()
    names: tuple[str, ...] = CLASSES_OF.get(options.name) or find_classes(train)
    for split, records in splits.items():
        class_targets(records, names, split, problems.append)
    problems += class_doubts(names)
    if len(names) > max(20, len(train) // 2):
        problems.append(
            f"training has {len(names)} different labels in {len(train)} sequences; "
            "if they are numbers to be predicted, give task=regression (--data.task regression)."
        )
    return names


def _vocabulary(options: SequenceOptions, splits: Splits, problems: list[str]) -> Vocabulary | None:
    try:
        return find_vocabulary(options, splits["train"])
    except ValueError as error:
        problems.append(str(error))
        return None


@dataclass(frozen=True)
class _Scan:
    """What every split is read with, and where what is found is told."""

    options: SequenceOptions
    vocabulary: Vocabulary | None
    problems: list[str]
    notes: list[str]

    def read(self, records: list[Record], report: SequenceSplit) -> dict[bytes, str]:
        """Count lengths and unknown letters; return where each content was seen first."""
        seen: dict[bytes, str] = {}
        repeated: list[str] = []
        encode = find_encoder(self.options, self.vocabulary)
        if self.vocabulary is not None and self.vocabulary.unknown_id is not None:
            report.found = UnknownTokens(self.vocabulary)
        for record in records:
            try:
                content, length = self._content(record, encode, report)
            except ValueError as error:
                self.problems.append(str(error))
                continue
            if not length:
                self.problems.append(f"{record.where}: the sequence is empty; remove it.")
                continue
            report.lengths[length] += 1
            key = hashlib.sha256(content).digest()
            if key in seen:
                repeated.append(f"{record.where} and {seen[key]}")
            seen.setdefault(key, record.where)
        if repeated:
            self.notes.append(f"{report.name} holds sequences more than once, {_count(repeated)}.")
        return seen

    def _content(
        self, record: Record, encode: Callable[[Record], Tensor], report: SequenceSplit
    ) -> tuple[bytes, int]:
        """Return what a sequence holds, and how many positions; texts need not be encoded for that."""
        unit = None if self.vocabulary is None else self.vocabulary.unit
        if isinstance(record.sequence, Tensor) or self.options.name in PICTURES:
            inputs = encode(record)
            return inputs.numpy().tobytes(), len(inputs)
        if unit == "bytes":
            content = bytes(encode(record).tolist())
            return content, len(content)
        text = text_of(record)
        if report.found is not None:
            report.found.add(text)
        return text.encode(errors="surrogatepass"), len(text.split() if unit == "words" else text)


def _tell_unknown(
    options: SequenceOptions, report: SequenceSplit, problems: list[str], notes: list[str]
) -> None:
    found = report.found
    if found is None or not found.counts:
        return
    sentence = f"{report.name}: {found.sentence('the alphabet' if options.name in FIXED else 'training')}"
    # Any text has words, and any language characters, that are rare; an alphabet is a closed set.
    of_language = options.name == "long_document" or (options.name == "csv" and options.tokens == "words")
    is_usual = of_language and not found.too_many
    if is_usual or options.unknown == "allow":
        notes.append(f"{sentence}.")
    else:
        problems.append(f"{sentence}; {found.remedy()}, or {ALLOW} if they are meant.")


def _features(splits: Splits) -> list[str]:
    widths = {record.sequence.shape[1]: record.where for records in splits.values() for record in records
              if isinstance(record.sequence, Tensor)}  # fmt: skip
    shown = ", ".join(f"{width} in {where}" for width, where in sorted(widths.items()))
    wrong = f"sequences have different numbers of values at each position: {shown}; give all the same."
    return [wrong] if len(widths) > 1 else []


def _notes(
    options: SequenceOptions, reports: list[SequenceSplit], kept: int, vocabulary: Vocabulary | None
) -> list[str]:
    notes: list[str] = []
    for report in reports:
        cut = sum(count for length, count in report.lengths.items() if length > kept)
        if cut:
            part = 100 * cut / report.samples
            notes.append(
                f"{part:.1f} % of {report.name} are longer than {kept} and lose their {_end(options)}."
            )
    if vocabulary is not None:
        notes.append(f"the vocabulary has {len(vocabulary)} tokens.")
    return notes


def _end(options: SequenceOptions) -> str:
    return "end" if options.crop == "head" else "beginning"


def _shared(seen: dict[str, dict[bytes, str]]) -> list[str]:
    problems, names = [], list(seen)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            both = [
                f"{seen[first][key]} and {seen[second][key]}"
                for key in seen[first].keys() & seen[second].keys()
            ]
            if both:
                problems.append(
                    f"{first} and {second} share sequences, {_count(sorted(both))}; remove them from one."
                )
    return problems


def _count(pairs: list[str]) -> str:
    return f"{len(pairs)} in all: {and_more(pairs, SHOWN, '; ')}"
