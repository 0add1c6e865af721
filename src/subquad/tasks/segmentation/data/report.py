"""Reports on data sets: what was counted, as numbers and as text."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from subquad.tasks.segmentation.data.colors import IGNORE_INDEX, Color
from subquad.tasks.segmentation.data.labels import LabelSet, class_weights


@dataclass
class SplitReport:
    """What one split holds.

    Attributes:
        name: Its name; `"all"` for a data set without splits.
        num_pairs: Images with a mask of the same size, both readable.
        problems: What is wrong with its files, each with the remedy.
        sizes: How many images have each (height, width).
        values: Pixels of each mask value; a colour counts as its class, or else as itself.
        files: The first few masks in which each of these was seen.
        checksums: The name of the image of each content.
        moments: Sum and sum of squares of all pixels per channel from 0 to 1, float64 (2, bands).
    """

    name: str
    num_pairs: int = 0
    problems: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    values: Counter[int | Color] = field(default_factory=Counter)
    files: dict[int | Color, list[str]] = field(default_factory=dict)
    checksums: dict[bytes, str] = field(default_factory=dict)
    moments: Tensor = field(default_factory=lambda: torch.zeros(2, 3, dtype=torch.float64))

    def count_image(self, image: Tensor, name: str) -> None:
        """Count an image, uint8 (bands, H, W)."""
        height, width = image.shape[1:]
        self.sizes[height, width] += 1
        # By levels: doubles of a whole large picture would not fit.
        counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in image]).double()
        levels = torch.arange(256, dtype=torch.float64) / 255
        if len(image) != self.moments.shape[1] and not self.moments.any():
            self.moments = self.moments.new_zeros(2, len(image))
        self.moments += torch.stack([counts @ levels, counts @ levels.square()])
        self.checksums[hashlib.sha256(image.contiguous().numpy().data).digest()] = name


@dataclass
class SegmentationReport:
    """What `check_folder` or `check_published` found; `str()` of it is a text to read.

    Attributes:
        root: The folder.
        labels: The classes; None if nothing names them.
        splits: One report per split, training first.
        problems: What was found, then how to mend it, one sentence each; empty if all is well.
        mean: Mean of red, green, blue, or of other bands, in the first split, 0 to 1.
        std: Standard deviation of the same.
        frequencies: Share of each class in the labelled pixels of the first split, float64
            (classes,); None if the classes are unknown or nothing is labelled.
        notes: What is not wrong, but good to know.
    """

    root: Path
    labels: LabelSet | None
    splits: list[SplitReport]
    problems: list[str]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    frequencies: Tensor | None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        """The report as text."""
        names = f"{self.labels.num_classes} classes" if self.labels else "classes unknown"
        lines = [f"{self.root}: {names}", "", *_size_table(self.splits), "", *_value_table(self)]
        for name, values in (("mean", self.mean), ("std ", self.std)):
            channels = "  ".join(f"{value:.4f}" for value in values)
            what = "red, green, blue" if len(values) == 3 else f"{len(values)} bands"
            lines.append(f"{name} of {what} in {self.splits[0].name}, 0 to 1:  {channels}")
        lines += ["", *(f"note: {note}" for note in self.notes), f"problems: {len(self.problems) or 'none'}"]
        return "\n".join(lines + [f"{n}. {text}" for n, text in enumerate(self.problems, 1)])


def summarise(
    root: Path,
    labels: LabelSet | None,
    splits: list[SplitReport],
    problems: list[str],
    notes: tuple[str, ...] = (),
) -> SegmentationReport:
    """Make a report of what was counted; the first split tells statistics.

    Args:
        root: The folder.
        labels: The classes, if they are known.
        splits: What was counted, training first.
        problems: What was found.
        notes: What is good to know.
    """
    num_pixels = sum(height * width * n for (height, width), n in splits[0].sizes.items())
    mean, square = splits[0].moments / max(num_pixels, 1)
    std = (square - mean**2).clamp_min(0).sqrt()
    counts = [splits[0].values[index] for index in range(labels.num_classes)] if labels else []
    shares = torch.tensor(counts, dtype=torch.float64) / sum(counts) if any(counts) else None
    return SegmentationReport(
        root, labels, splits, problems, (*mean.tolist(),), (*std.tolist(),), shares, notes
    )


def _size_table(splits: list[SplitReport]) -> list[str]:
    lines = [f"{'split':<12}{'pairs':>7}{'sizes':>7}   height x width: least, median, most"]
    for split in splits:
        sides = [sorted(side) for side in zip(*split.sizes.elements(), strict=True)]
        spans = [" x ".join(f"{pick(side):g}" for side in sides) for pick in (min, median, max)]
        start = f"{split.name:<12}{split.num_pairs:>7}{len(split.sizes):>7}   "
        lines.append(start + (", ".join(spans) if sides else "-"))
    return lines


def _value_table(report: SegmentationReport) -> list[str]:
    """Pixels of each class in percent, and the two usual weights for a loss."""
    splits, shares = report.splits, report.frequencies
    names: dict[int | Color, str] = dict(enumerate(report.labels.names)) if report.labels else {}
    found = {*sum((split.values for split in splits), Counter())}
    # Numbers, then colours; what is ignored comes last.
    others = sorted(found - names.keys() - {IGNORE_INDEX}, key=lambda v: (isinstance(v, tuple), v))
    names |= {value: f"value {value}" for value in others[:40]} | {IGNORE_INDEX: "ignored (255)"}
    widths = [max(9, len(split.name) + 2) for split in splits]
    titles = [f"{split.name:>{width}}" for split, width in zip(splits, widths, strict=True)]
    lines = [f"{'% of pixels':<24}" + "".join(titles)]
    weights = torch.zeros(0, 2)
    if shares is not None:
        weights = torch.stack([class_weights(shares, "median"), class_weights(shares, "log")], 1)
        lines[0] += f"{'median/f':>11}{'1/log(1.1+f)':>14}"
    for row, (value, name) in enumerate(names.items()):
        parts = [100 * split.values[value] / max(split.values.total(), 1) for split in splits]
        cells = [f"{part:>{width}.2f}" for part, width in zip(parts, widths, strict=True)]
        cells += [f"{weight:>12.3f}" for weight in weights[row : row + 1].flatten()]
        lines.append(f"{name[:23]:<24}" + "".join(cells))
    return lines
