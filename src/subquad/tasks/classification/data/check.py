"""A look at pictures with classes before training: counts, sizes, what is broken, and what is there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from subquad.base.hidden import visible
from subquad.base.limits import PICTURE_PIXELS
from subquad.base.suggest import and_more, quote
from subquad.data.class_images.folder import folder_of
from subquad.data.fingerprint import tensor_bytes
from subquad.data.picture_files import image_files, left_out
from subquad.data.pictures import read_image
from subquad.tasks.classification.data.layout import SPLITS
from subquad.tasks.classification.data.options import IN_MEMORY
from subquad.tasks.classification.data.report import PictureReport, PictureSplit

UNEVEN = 20  # times as many pictures of one class as of another are worth a note
NUMBERED = 3  # problems of one kind that are told one by one


def check_pictures(
    root: str | Path,
    format: str,
    splits: Sequence[str] = SPLITS,
    samples: int | None = None,
    max_pixels: int = PICTURE_PIXELS,
) -> PictureReport:
    """Look over a data set of pictures with classes.

    Args:
        root: Its folder.
        format: "class_folder", "cifar10" or "fashion_mnist".
        splits: Names of those that are looked for, where the format leaves them open.
        samples: Pictures to read of each split; None for all.
        max_pixels: Refuse pictures of more.

    Raises:
        FileNotFoundError: If there is no such folder, or none of the splits in it.
        ValueError: If less than one picture is to be read, or a format that leaves nothing open is given
            splits, samples or a limit.
    """
    if samples is not None and samples < 1:
        raise ValueError(f"--samples must be at least 1, got {samples}.")
    if format in IN_MEMORY and ((*splits,), samples, max_pixels) != (SPLITS, None, PICTURE_PIXELS):
        raise ValueError(
            f"the splits and sizes of {format} are known, and all of it is read; leave --splits, "
            "--samples and --max_pixels out."
        )
    if not Path(root).is_dir():
        raise FileNotFoundError(f"there is no folder {root}; correct the path.")
    report = PictureReport(str(root), [], (), [], [])
    if format in IN_MEMORY:
        _check_packed(report, Path(root), format)
    else:
        for folder, name in _folders(Path(root), splits):
            report.splits.append(_check_folder(report, folder, name, samples, max_pixels))
    names = [name for split in report.splits for name in split.counts]
    report.class_names = report.class_names or tuple(sorted(set(names)))
    _check_classes(report)
    _check_repeats(report)
    return report


def _folders(root: Path, splits: Sequence[str]) -> list[tuple[Path, str]]:
    there = [(root / name, name) for name in splits if (root / name).is_dir()]
    return there or [(folder_of(root, splits[0]), "all")]


def _check_folder(
    report: PictureReport, folder: Path, name: str, samples: int | None, max_pixels: int
) -> PictureSplit:
    split, files = PictureSplit(name), []
    loose = image_files(folder)
    if loose:
        report.problems.append(
            f"{len(loose)} picture(s) such as {loose[0].name} of {folder} are in no class; put them into the "
            f"folder of theirs, or remove them."
        )
    for of_class in (path for path in visible(folder) if path.is_dir()):
        found = image_files(of_class)
        split.counts[of_class.name] = len(found)
        report.notes += left_out(of_class)
        files += found
        if not found:
            report.problems.append(f"{of_class} holds no picture; add some, or remove the folder.")
    if not split.counts:
        report.problems.append(f"{folder} holds no folders; it needs one for each class.")
    chosen = files if samples is None else files[:: max(1, len(files) // samples)][:samples]
    if len(chosen) < len(files):
        report.notes.append(f"of {name}, {len(chosen):,} of {len(files):,} pictures were read (--samples)")
    broken: list[str] = []
    for path in chosen:
        try:
            height, width = read_image(path, max_pixels).shape[1:]
            content = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        except (OSError, ValueError) as error:
            broken.append(str(error))
            continue
        split.sizes[height, width] += 1
        _note(report, split, content, path.parent.name, str(path))
    report.problems += _first(broken, f"pictures of {folder} cannot be read, either")
    return split


def _check_packed(report: PictureReport, root: Path, format: str) -> None:
    """Look over a data set that is read as a whole; what is wrong with a file is a problem of its own."""
    for name in ("train", "test"):
        try:
            pictures = IN_MEMORY[format](root, name)
        except (OSError, ValueError) as error:
            report.problems.append(str(error))
            continue
        split = PictureSplit(name)
        report.splits.append(split)
        report.class_names = pictures.class_names
        for index, number in enumerate(pictures.classes.tolist()):
            image, of_class = pictures.decoded(index), pictures.class_names[number]
            split.counts[of_class] += 1
            split.sizes[image.shape[1], image.shape[2]] += 1
            content = hashlib.blake2b(tensor_bytes(image), digest_size=16).digest()
            _note(report, split, content, of_class, f"{name} {index}")


def _note(report: PictureReport, split: PictureSplit, content: bytes, of_class: str, where: str) -> None:
    """Remember a picture; one that two classes of a split have contradicts itself."""
    other = split.digests.setdefault(content, (of_class, where))
    if other[0] != of_class:
        report.problems.append(
            f"{where} is the same picture as {other[1]}, of another class; remove it from one of the two."
        )


def _check_classes(report: PictureReport) -> None:
    if report.splits and len(report.class_names) < 2:
        report.problems.append(
            f"there is {'one class' if report.class_names else 'no class'}; training needs two or more."
        )
    for split in report.splits:
        lacking = [name for name in report.class_names if name not in split.counts]
        if lacking:
            report.problems.append(
                f"{split.name} has no folder for {quote(lacking)}, as another split has; add it, or remove "
                f"the class there."
            )
        counts = [count for count in split.counts.values() if count]
        if counts and max(counts) > UNEVEN * min(counts):
            rare = next(name for name, count in split.counts.items() if count == min(counts))
            report.notes.append(
                f"{split.name} has {max(counts):,} pictures of one class and {min(counts):,} of {rare!r}: "
                f"accuracy says little of it, its recall does"
            )
    if [split.name for split in report.splits] == ["all"]:
        report.notes.append(
            "no split has a folder of its own: hold pictures out with --data.val_fraction 0.1"
        )


def _check_repeats(report: PictureReport) -> None:
    """Tell of pictures that two splits have: what is trained on is no test."""
    for one, two in combinations(report.splits, 2):
        common = [content for content in two.digests if content in one.digests]
        if common:
            pairs = [f"{two.digests[content][1]} as {one.digests[content][1]}" for content in common]
            report.problems.append(
                f"{len(common)} picture(s) of {two.name} are in {one.name}, too "
                f"({and_more(pairs, NUMBERED)}); remove them from {one.name}."
            )


def _first(problems: list[str], others: str) -> list[str]:
    more = len(problems) - NUMBERED
    return [
        *problems[:NUMBERED],
        *([f"{more} more {others}; copy them again or remove them."] if more > 0 else []),
    ]
