"""Reports on pictures with classes: what was counted, as numbers and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

MOST_ROWS = 40  # classes in the text


@dataclass
class PictureSplit:
    """What one split holds.

    Attributes:
        name: "train", "val" or "test"; "all" where no split has a folder of its own.
        counts: How many pictures each class has.
        sizes: How many of the pictures that were read have each height and width.
        digests: Of the content of each picture that was read, with its class and what it is called.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    digests: dict[bytes, tuple[str, str]] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """How many pictures could be read."""
        return self.sizes.total()


@dataclass
class PictureReport:
    """What `check_pictures` found; `str()` of it is a text to read.

    Attributes:
        source: What was looked over.
        splits: One report per split.
        class_names: In the order of their numbers.
        problems: What was found, then how to mend it, one sentence each; empty if all is well.
        notes: What is not wrong, but good to know.
    """

    source: str
    splits: list[PictureSplit]
    class_names: tuple[str, ...]
    problems: list[str]
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        """The report as text."""
        lines = [
            f"{self.source}: {len(self.class_names)} classes",
            "",
            *self._sizes(),
            "",
            *self._classes(),
            "",
        ]
        lines += [*(f"note: {note}" for note in self.notes), f"problems: {len(self.problems) or 'none'}"]
        return "\n".join([*lines, *(f"  {number}. {text}" for number, text in enumerate(self.problems, 1))])

    def _sizes(self) -> list[str]:
        lines = [f"{'split':<8}{'pictures':>10}{'read':>10}   height x width: smallest, median, largest"]
        for split in self.splits:
            told = "none read"
            if split.read:
                by_area = sorted(split.sizes.elements(), key=lambda size: size[0] * size[1])
                middle = tuple(int(median(side)) for side in zip(*by_area, strict=True))
                told = ", ".join(f"{height} x {width}" for height, width in (by_area[0], middle, by_area[-1]))
            lines.append(f"{split.name:<8}{split.counts.total():>10,}{split.read:>10,}   {told}")
        return lines

    def _classes(self) -> list[str]:
        width = max([len(name) for name in self.class_names[:MOST_ROWS]] + [len("class")]) + 2
        lines = [f"{'class':<{width}}" + "".join(f"{split.name:>10}" for split in self.splits)]
        for name in self.class_names[:MOST_ROWS]:
            lines.append(f"{name:<{width}}" + "".join(f"{s.counts[name]:>10,}" for s in self.splits))
        more = len(self.class_names) - MOST_ROWS
        return [*lines, f"and {more} more classes"] if more > 0 else lines
