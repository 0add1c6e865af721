"""Looking a data set over before training: what is in it, what is wrong, and how to mend it."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from subquad.base.limits import PICTURE_PIXELS
from subquad.base.suggest import quote
from subquad.data.bands import RGB, count_bands
from subquad.data.picture_files import SUFFIXES_IN_WORDS, left_out
from subquad.data.pictures import read_picture
from subquad.tasks.segmentation.data.colors import (
    IGNORE_INDEX,
    MAX_CLASSES,
    Color,
    pack_colors,
    refuse_shared_colors,
)
from subquad.tasks.segmentation.data.exports import layout_hint
from subquad.tasks.segmentation.data.folder import (
    find_labels,
    find_split,
    find_splits,
    loose_pictures,
    other_masks,
)
from subquad.tasks.segmentation.data.labels import LabelSet, one_class_is_none
from subquad.tasks.segmentation.data.masks import (
    LossyMaskError,
    check_same_size,
    open_mask,
    refuse_other_colors,
)
from subquad.tasks.segmentation.data.oddities import Oddities
from subquad.tasks.segmentation.data.pairs import MASK_FOLDERS, masks_left_out, match_pairs
from subquad.tasks.segmentation.data.report import SegmentationReport, SplitReport, summarise
from subquad.tasks.segmentation.data.smoothing import NO_SMOOTHING, is_smoothed, is_smoothed_grey
from subquad.tasks.segmentation.data.split_problems import few_labelled_in, missing_classes, shared_images


def check_folder(
    root: str | Path,
    *,
    classes: LabelSet | str | Path | None = None,
    num_classes: int | None = None,
    images: str = "images",
    masks: str | None = None,
    max_pixels: int = PICTURE_PIXELS,
) -> SegmentationReport:
    """Read every file of a data set in one of the layouts of `SegmentationFolder`.

    Bad contents never raise: they are in the report, each with a remedy. Without a label set the
    report proposes one.

    Args:
        root: The folder of the data set.
        classes: A label set or the file of one; by default that of `root`, if there is one.
        num_classes: The number of classes when no file names them.
        images: The name of the folders of the images.
        masks: The name of the folders of the masks; None for any of the usual ones.
        max_pixels: Refuse pictures and masks of more.

    Raises:
        FileNotFoundError: If `root` does not exist or holds no images.
    """
    root, labels = Path(root), None
    problems: list[str] = []
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; correct the path.")
    found = find_splits(root, images)
    if not found:
        hint = layout_hint(root)
        if not hint and (loose := loose_pictures(root, images, masks)):
            raise FileNotFoundError(loose)
        raise FileNotFoundError(
            f"{root} holds no {SUFFIXES_IN_WORDS} file in {images}, */{images} or {images}/*; "
            f"correct the path, rename the folder of the images, or name it (--images).{hint and ' ' + hint}"
        )
    try:
        labels = find_labels(root, classes, num_classes)
    except (FileNotFoundError, ValueError) as error:
        problems.append(str(error))
    unnamed = labels is None and not problems
    scan, splits = _Scan(labels, max_pixels), []
    for name, images_dir in found.items():
        split = SplitReport(name or "all")
        try:
            masks_dir = find_split(root, name, images, masks)[1]
        except FileNotFoundError:
            split.problems += [_no_masks(images_dir, masks), *left_out(images_dir)]
        else:
            split.problems += other_masks(masks_dir, masks)
            scan.read(split, images_dir, masks_dir)
        splits.append(split)
        problems += [f"{split.name}: {problem}" for problem in split.problems]
    if any(split.problems and not split.num_pairs for split in splits) and (hint := layout_hint(root)):
        problems.append(hint)
    problems += [*shared_images(splits), *scan.oddities.problems()]
    problems += _wrong_values(splits, labels, unnamed) or missing_classes(splits[0], labels)
    problems += _few_labelled(splits, labels)
    return summarise(root, labels, splits, problems, tuple(scan.oddities.notes()))


def _no_masks(images_dir: Path, masks: str | None) -> str:
    wanted = masks or " or ".join(MASK_FOLDERS)
    return f"{images_dir} has no folder {wanted} beside it; add the masks, or name their folder (--masks)."


@dataclass(frozen=True)
class _Scan:
    """What every split is read with, and what is odd about any of them."""

    labels: LabelSet | None
    max_pixels: int
    oddities: Oddities = field(default_factory=Oddities)

    def read(self, split: SplitReport, images_dir: Path, masks_dir: Path) -> None:
        """Count all pairs of a split, and say what is wrong with its files."""
        pairs, problems = match_pairs(images_dir, masks_dir)
        split.problems += [*problems, *left_out(images_dir), *masks_left_out(masks_dir)]
        lossy: list[str] = []
        bands = count_bands(pairs[0][0]) if pairs else RGB
        for image_path, mask_path in pairs:
            try:
                self._read_pair(split, image_path, mask_path, bands)
            except LossyMaskError:
                lossy.append(mask_path.name)
            except (OSError, ValueError) as error:
                split.problems.append(str(error))
        if lossy:
            split.problems.append(
                f"{quote(lossy)} of {masks_dir} are compressed as JPEG or the like, whatever their names "
                "say, which changes class values; export the masks as PNG."
            )

    def _read_pair(self, split: SplitReport, image_path: Path, mask_path: Path, bands: int) -> None:
        picture = read_picture(image_path, self.max_pixels, bands)
        stored = open_mask(mask_path, self.max_pixels)
        mask = stored.values
        split.count_image(picture.pixels, image_path.name)
        self.oddities.count_picture(picture, image_path.name)
        values, counts = np.unique(mask if mask.ndim == 2 else pack_colors(mask), return_counts=True)
        self.oddities.count_mask(stored, values.tolist() if mask.ndim == 2 else [], mask_path.name)
        if mask.ndim == 3 and len(values) > MAX_CLASSES + 1:
            raise ValueError(
                f"mask {mask_path} has {len(values)} colours, so it is a photograph or was smoothed; "
                "export the masks without smoothing."
            )
        known = _known_colors(self.labels) if mask.ndim == 3 else {}
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if mask.ndim == 3:
                color = (value >> 16, value >> 8 & 255, value & 255)
                value = known.get(color, color)
            split.values[value] += count
            files = split.files.setdefault(value, [])
            if len(files) < 3:
                files.append(mask_path.name)
        check_same_size(picture, image_path, mask, mask_path)
        split.num_pairs += 1
        if self.labels is not None and stored.table is not None:
            refuse_other_colors(mask_path, stored.table, values.tolist(), self.labels)


def _known_colors(labels: LabelSet | None) -> dict[Color, int]:
    if labels is None:
        return {}
    refuse_shared_colors(labels.palette)
    known = {color: index for index, color in enumerate(labels.palette)}
    return known | ({labels.ignore_color: IGNORE_INDEX} if labels.ignore_color else {})


def _few_labelled(splits: list[SplitReport], labels: LabelSet | None) -> list[str]:
    """Say which splits have labels of one class only, unless that was said of values that are wrong."""
    return [] if labels is None or _wrong_values(splits, labels) else few_labelled_in(splits, labels)


def _wrong_values(splits: list[SplitReport], labels: LabelSet | None, unnamed: bool = False) -> list[str]:
    """Say which values are no class, and propose how to read them, or names for them if there are none."""
    total = sum((split.values for split in splits), Counter[int | Color]())
    if any(isinstance(value, tuple) for value in total):
        return [_unknown_colors(total, labels)]
    if labels and labels.num_classes == 1:  # advice on its values would lead in a circle
        return [one_class_is_none(labels)]
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
    elif is_smoothed_grey(total, 2 if labels is None else labels.num_classes):
        found, num_classes = (
            f"{shown}, as if edges between 0 and 255 were smoothed: {NO_SMOOTHING}, with 255 as 1.",
            2,
        )
    elif labels:
        found = _values_beyond(values, splits, labels.num_classes)
    elif len(values) < values[-1] / 2:
        found, num_classes = f"{shown} with gaps; renumber them from 0 without gaps.", len(values)
    problems = [found] if found else []
    if unnamed and num_classes <= MAX_CLASSES:
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
    beyond = f"the masks hold values that are no class of 0..{num_classes - 1}"
    remedy = "fix the masks or add the classes to classes.json."
    return f"{beyond}: {', '.join(listed)}; {remedy}" if wrong else ""


def _unknown_colors(total: Counter[int | Color], labels: LabelSet | None) -> str:
    colors = sorted(value for value in total if isinstance(value, tuple))
    shown = ", ".join(map(str, colors[:8])) + (" ..." if len(colors) > 8 else "")
    if all(red == green == blue for red, green, blue in colors):
        remedy = "they are grey, so save the masks as 8-bit grey with class indices"
    elif is_smoothed(_in_colors(total, labels)):
        remedy = f"most of them lie between two others, as if edges were smoothed: {NO_SMOOTHING}"
    elif labels is None and len(colors) <= MAX_CLASSES:
        names = LabelSet.generic(len(colors)).names
        remedy = f"write classes.json, with the right names: {_as_json(names, colors)}"
    else:
        remedy = 'list them in classes.json under "palette_rgb" or "ignore_rgb"'
    return f"the masks are RGB and hold {len(colors)} colours of no class: {shown}; {remedy}."


def _in_colors(total: Counter[int | Color], labels: LabelSet | None) -> Counter[Color]:
    """Return how often each colour occurs, those of the classes, too."""
    known = {index: color for color, index in _known_colors(labels).items()}
    colors = {known.get(value) if isinstance(value, int) else value: count for value, count in total.items()}
    return Counter({color: count for color, count in colors.items() if color is not None})


def _as_json(names: tuple[str, ...], palette: list[Color] | None = None) -> str:
    return json.dumps({"classes": names} | ({"palette_rgb": palette} if palette else {}))
