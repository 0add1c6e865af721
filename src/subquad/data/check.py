"""Looking a data set over before training: what is in it, what is wrong, and how to mend it."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from subquad.data.folder import MASK_FOLDERS, find_labels, find_split, find_splits
from subquad.data.images import check_same_size, match_pairs, quote, read_image, read_raw_mask
from subquad.data.labels import (
    IGNORE_INDEX,
    MAX_CLASSES,
    Color,
    LabelSet,
    class_weights,
    pack_colors,
)


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
        moments: Sum and sum of squares of all pixels per channel from 0 to 1, float64 (2, 3).
    """

    name: str
    num_pairs: int = 0
    problems: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    values: Counter[int | Color] = field(default_factory=Counter)
    files: dict[int | Color, list[str]] = field(default_factory=dict)
    checksums: dict[bytes, str] = field(default_factory=dict)
    moments: Tensor = field(default_factory=lambda: torch.zeros(2, 3, dtype=torch.float64))


@dataclass
class DataReport:
    """What `check_folder` found; `str()` of it is a text to read.

    Attributes:
        root: The folder.
        labels: The classes; None if nothing names them.
        splits: One report per split, training first.
        problems: What was found, then how to mend it, one sentence each; empty if all is well.
        mean: Mean of red, green, blue in the first split, 0 to 1.
        std: Standard deviation of the same.
        frequencies: Share of each class in the labelled pixels of the first split, float64
            (classes,); None if the classes are unknown or nothing is labelled.
    """

    root: Path
    labels: LabelSet | None
    splits: list[SplitReport]
    problems: list[str]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    frequencies: Tensor | None

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
            lines.append(f"{name} of red, green, blue in {self.splits[0].name}, 0 to 1:  {channels}")
        lines += ["", f"problems: {len(self.problems) or 'none'}"]
        return "\n".join(lines + [f"{n}. {text}" for n, text in enumerate(self.problems, 1)])


def check_folder(
    root: str | Path,
    *,
    classes: LabelSet | str | Path | None = None,
    num_classes: int | None = None,
    images: str = "images",
    masks: str | None = None,
) -> DataReport:
    """Read every file of a data set in one of the layouts of `SegmentationFolder`.

    Bad contents never raise: they are in the report, each with a remedy. Without a label set the
    report proposes one.

    Args:
        root: The folder of the data set.
        classes: A label set or the file of one; by default that of `root`, if there is one.
        num_classes: The number of classes when no file names them.
        images: The name of the folders of the images.
        masks: The name of the folders of the masks; None for any of the usual ones.

    Raises:
        FileNotFoundError: If `root` does not exist or holds no images.
    """
    root, labels, problems, splits = Path(root), None, [], []
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; correct the path.")
    found = find_splits(root, images)
    if not found:
        raise FileNotFoundError(
            f"{root} holds no png, jpg or jpeg file in {images}, */{images} or {images}/*; "
            "correct the path, or rename the folder of the images."
        )
    try:
        labels = find_labels(root, classes, num_classes)
    except (FileNotFoundError, ValueError) as error:
        problems.append(str(error))
    for name, images_dir in found.items():
        split = SplitReport(name or "all")
        splits.append(split)
        try:
            masks_dir = find_split(root, name, images, masks)[1]
        except FileNotFoundError:
            wanted = masks or " or ".join(MASK_FOLDERS)
            split.problems.append(f"{images_dir} has no folder {wanted} beside it; add the masks.")
        else:
            _scan(split, images_dir, masks_dir, labels)
        problems += [f"{split.name}: {problem}" for problem in split.problems]
    problems += _shared_images(splits)
    problems += _wrong_values(splits, labels) or _missing_classes(splits[0], labels)
    num_pixels = sum(height * width * n for (height, width), n in splits[0].sizes.items())
    mean, square = splits[0].moments / max(num_pixels, 1)
    std = (square - mean**2).clamp_min(0).sqrt()
    counts = [splits[0].values[index] for index in range(labels.num_classes)] if labels else []
    shares = torch.tensor(counts, dtype=torch.float64) / sum(counts) if any(counts) else None
    return DataReport(root, labels, splits, problems, (*mean.tolist(),), (*std.tolist(),), shares)


def _scan(split: SplitReport, images_dir: Path, masks_dir: Path, labels: LabelSet | None) -> None:
    pairs, problems = match_pairs(images_dir, masks_dir)
    if lossy := [mask.name for _, mask in pairs if mask.suffix.lower() != ".png"]:
        problems.append(
            f"{quote(lossy)} of {masks_dir} are JPEG, which changes class values; export the masks as PNG."
        )
    known = {color: index for index, color in enumerate(labels.palette)} if labels else {}
    if labels and labels.ignore_color:
        known[labels.ignore_color] = IGNORE_INDEX
    split.problems += problems
    for image_path, mask_path in pairs:
        try:
            _scan_pair(split, image_path, mask_path, known)
        except ValueError as error:
            split.problems.append(str(error))


def _scan_pair(split: SplitReport, image_path: Path, mask_path: Path, known: dict[Color, int]) -> None:
    image, mask = read_image(image_path), read_raw_mask(mask_path)
    height, width = image.shape[1:]
    split.sizes[height, width] += 1
    pixels = image.double().flatten(1) / 255
    split.moments += torch.stack([pixels.sum(1), pixels.square().sum(1)])
    split.checksums[hashlib.sha256(image.numpy().tobytes()).digest()] = image_path.name
    values, counts = np.unique(mask if mask.ndim == 2 else pack_colors(mask), return_counts=True)
    if mask.ndim == 3 and len(values) > MAX_CLASSES + 1:
        raise ValueError(
            f"mask {mask_path} has {len(values)} colours, so it is a photograph or was smoothed; "
            "export the masks without smoothing."
        )
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        if mask.ndim == 3:
            color = (value >> 16, value >> 8 & 255, value & 255)
            value = known.get(color, color)
        split.values[value] += count
        files = split.files.setdefault(value, [])
        if len(files) < 3:
            files.append(mask_path.name)
    check_same_size(image, image_path, mask, mask_path)
    split.num_pairs += 1


def _shared_images(splits: list[SplitReport]) -> list[str]:
    problems = []
    for split, other in combinations(splits, 2):
        if same := split.checksums.keys() & other.checksums.keys():
            names = quote(sorted(other.checksums[key] for key in same))
            problems.append(
                f"{split.name} and {other.name} share {len(same)} of their images ({names}), so "
                "scores would be too good; keep each image in one split."
            )
    return problems


def _wrong_values(splits: list[SplitReport], labels: LabelSet | None) -> list[str]:
    """Say which values are no class, and propose how to read them, or names for them."""
    total = sum((split.values for split in splits), Counter[int | Color]())
    if colors := sorted(value for value in total if isinstance(value, tuple)):
        return [_unknown_colors(colors, labels)]
    values = sorted(value for value in total if isinstance(value, int) and value != IGNORE_INDEX)
    if not values:
        return []
    found, num_classes = "", values[-1] + 1
    shown = f"the masks hold {', '.join(map(str, values[:8]))}{' ...' if len(values) > 8 else ''}"
    if set(total) == {0, IGNORE_INDEX}:
        remedy = "255 means ignored, but seems to be the foreground here; convert 255 to 1."
        found, num_classes = f"the masks hold only 0 and 255: {remedy}", 2
    elif values[0] == 1 and (labels is None or values[-1] == labels.num_classes):
        remedy = "the classes seem to start at 1; subtract 1 from every value but 255."
        found, num_classes = f"{shown} up to {values[-1]}, but no 0: {remedy}", values[-1]
    elif labels:
        found = _values_beyond(values, splits, labels.num_classes)
    elif len(values) < values[-1] / 2:
        found, num_classes = f"{shown} with gaps; renumber them from 0 without gaps.", len(values)
    problems = [found] if found else []
    if labels is None and num_classes <= MAX_CLASSES:
        names = LabelSet.generic(num_classes).names
        problems.append(f"the classes have no names; write classes.json: {_as_json(names)}")
    return problems


def _values_beyond(values: list[int], splits: list[SplitReport], num_classes: int) -> str:
    wrong = [value for value in values if not 0 <= value < num_classes]
    if wrong == [num_classes] and values[0] == 0:
        return (
            f"the masks hold 0..{num_classes}, but there are {num_classes} classes; if 0 means "
            "unlabelled, convert it to 255 and subtract 1 from the others (reduce zero label)."
        )
    listed = []
    for value in wrong[:8]:
        files = [name for split in splits for name in split.files.get(value, [])]
        listed.append(f"{value} (in {quote(files)})")
    beyond = f"the masks hold {len(wrong)} values that are no class of 0..{num_classes - 1}"
    remedy = "fix the masks or add the classes to classes.json."
    return f"{beyond}: {', '.join(listed)}; {remedy}" if wrong else ""


def _unknown_colors(colors: list[Color], labels: LabelSet | None) -> str:
    shown = ", ".join(map(str, colors[:8])) + (" ..." if len(colors) > 8 else "")
    if all(red == green == blue for red, green, blue in colors):
        remedy = "they are grey, so save the masks as 8-bit grey with class indices"
    elif labels is None and len(colors) <= MAX_CLASSES:
        names = LabelSet.generic(len(colors)).names
        remedy = f"write classes.json, with the right names: {_as_json(names, colors)}"
    else:
        remedy = 'list them in classes.json under "palette_rgb" or "ignore_rgb"'
    return f"the masks are RGB and hold {len(colors)} colours of no class: {shown}; {remedy}."


def _as_json(names: tuple[str, ...], palette: list[Color] | None = None) -> str:
    return json.dumps({"classes": names} | ({"palette_rgb": palette} if palette else {}))


def _missing_classes(split: SplitReport, labels: LabelSet | None) -> list[str]:
    return [
        f"class {index} {name!r} has no pixel in {split.name}, so it cannot be learnt; add images "
        "that show it, or remove it."
        for index, name in enumerate(labels.names if labels and split.num_pairs else ())
        if not split.values[index]
    ]


def _size_table(splits: list[SplitReport]) -> list[str]:
    lines = [f"{'split':<12}{'pairs':>7}{'sizes':>7}   height x width: least, median, most"]
    for split in splits:
        sides = [sorted(side) for side in zip(*split.sizes.elements(), strict=True)]
        spans = [" x ".join(f"{pick(side):g}" for side in sides) for pick in (min, median, max)]
        start = f"{split.name:<12}{split.num_pairs:>7}{len(split.sizes):>7}   "
        lines.append(start + (", ".join(spans) if sides else "-"))
    return lines


def _value_table(report: DataReport) -> list[str]:
    """Pixels of each class in percent, and the two usual weights for a loss."""
    splits, shares = report.splits, report.frequencies
    names: dict[int | Color, str] = dict(enumerate(report.labels.names)) if report.labels else {}
    others = sorted({*sum((split.values for split in splits), Counter())} - names.keys(), key=str)
    names |= {value: f"value {value}" for value in others[:40]} | {IGNORE_INDEX: "ignored (255)"}
    lines = [f"{'% of pixels':<24}" + "".join(f"{split.name:>9}" for split in splits)]
    weights = torch.zeros(0, 2)
    if shares is not None:
        weights = torch.stack([class_weights(shares, "median"), class_weights(shares, "log")], 1)
        lines[0] += f"{'median/f':>11}{'1/log(1.1+f)':>14}"
    for row, (value, name) in enumerate(names.items()):
        parts = [100 * split.values[value] / max(split.values.total(), 1) for split in splits]
        cells = [f"{part:>9.2f}" for part in parts]
        cells += [f"{weight:>12.3f}" for weight in weights[row : row + 1].flatten()]
        lines.append(f"{name[:23]:<24}" + "".join(cells))
    return lines
