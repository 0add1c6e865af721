"""Reports on sequence data: what was counted, as numbers and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from subquad.tasks.sequences.data.unknown import UnknownTokens


@dataclass
class SequenceSplit:
    """What one split holds.

    Attributes:
        name: `"train"`, `"val"` or `"test"`.
        lengths: How many sequences have each length, before anything is cut off.
        labels: How many have each label.
        found: Letters or words that training does not have, or the alphabet; None if there can be none.
    """

    name: str
    lengths: Counter[int] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    found: UnknownTokens | None = None

    @property
    def unknown(self) -> Counter[str]:
        """How often each letter or word occurs that training does not have, or the alphabet."""
        return Counter() if self.found is None else self.found.counts

    @property
    def samples(self) -> int:
        """The number of sequences."""
        return self.lengths.total()


@dataclass
class SequenceReport:
    """What `check_sequences` found; `str()` of it is a text to read.

    Attributes:
        source: What was looked over.
        splits: One report per split, training first.
        class_names: The classes; empty for regression.
        kept: The most positions that are kept of a sequence.
        problems: What was found, then how to mend it, one sentence each; empty if all is well.
        notes: What is not wrong, but good to know.
    """

    source: str
    splits: list[SequenceSplit]
    class_names: tuple[str, ...]
    kept: int
    problems: list[str]
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        """The report as text."""
        kinds = f"{len(self.class_names)} classes" if self.class_names else "numbers to be predicted"
        lines = [f"{self.source}: {kinds}", "", *self._length_tables(), ""]
        if self.class_names:
            lines += [*self._class_table(), ""]
        lines += [*(f"note: {note}" for note in self.notes), f"problems: {len(self.problems) or 'none'}"]
        return "\n".join(lines + [f"{n}. {text}" for n, text in enumerate(self.problems, 1)])

    def _length_tables(self) -> list[str]:
        lines = [f"{'split':<12}{'sequences':>10}   length: least, median, most"]
        for split in self.splits:
            lengths = sorted(split.lengths.elements())
            spans = ", ".join(f"{pick(lengths):g}" for pick in (min, median, max)) if lengths else "-"
            lines.append(f"{split.name:<12}{split.samples:>10}   {spans}")
        lines += ["", f"{'length up to':<12}" + "".join(f"{split.name:>10}" for split in self.splits)]
        counts = [bucket_counts(split.lengths) for split in self.splits]
        exponents = set().union(*counts)
        for exponent in range(min(exponents, default=0), max(exponents, default=-1) + 1):
            lines.append(f"{2**exponent:<12}" + "".join(f"{count[exponent]:>10}" for count in counts))
        return lines

    def _class_table(self) -> list[str]:
        lines = [f"{'% of sequences':<24}" + "".join(f"{split.name:>10}" for split in self.splits)]
        for name in self.class_names:
            parts = [100 * split.labels[name] / max(split.labels.total(), 1) for split in self.splits]
            lines.append(f"{name[:23]:<24}" + "".join(f"{part:>10.2f}" for part in parts))
        return lines


def bucket_counts(lengths: Counter[int]) -> Counter[int]:
    """Count lengths by the exponent of the power of two that they fit into."""
    counts: Counter[int] = Counter()
    for length, count in lengths.items():
        counts[max(length - 1, 0).bit_length()] += count
    return counts
