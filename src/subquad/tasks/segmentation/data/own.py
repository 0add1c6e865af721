"""Training and evaluation sets of data of one's own; one folder without splits is divided by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from subquad.tasks.segmentation.data.labels import SegmentationDataset
from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.sources import OwnDataset, Source, open_source
from subquad.tasks.segmentation.data.split import FILE, Split, seeded_split

LOOKED_AT = 1000  # masks at most: of more pictures, chance alone gives each class to both parts


@dataclass(frozen=True)
class Opened:
    """What is trained on, and what is evaluated.

    Attributes:
        train: None if only evaluation is wanted.
        evaluation: Validation or test set.
        split: How one folder was divided; None if there are splits.
        remarks: What is good to know, one sentence each.
    """

    train: SegmentationDataset | None
    evaluation: SegmentationDataset
    split: Split | None = None
    remarks: tuple[str, ...] = ()


def open_own(options: DataOptions, seed: int, *, training: bool = True, kept: Path | None = None) -> Opened:
    """Open both sets.

    Args:
        options: Of the data.
        seed: Draws the split of one folder.
        training: Whether there is training; evaluation alone divides nothing anew.
        kept: The split of the run, if there is one.

    Raises:
        FileNotFoundError: If a folder or a split is missing.
        ValueError: If the data cannot be understood, or files of the split are gone.
    """
    source = open_source(options)
    given = None if options.split is None else Path(options.split)
    path = given if kept is None or (given is not None and given.exists()) else kept
    undivided = _undivided(source)
    if given is not None and not undivided:
        raise ValueError(
            f"{options.root} has the splits {', '.join(map(str, source.splits))}; leave --data.split out."
        )
    divides = undivided and (options.train, options.evaluation) == ("train", "val")
    if not divides and not (undivided and path is not None and options.evaluation in ("train", "val")):
        train = source.open(options.train) if training else None
        return Opened(train, source.open(options.evaluation), None, tuple(source.remarks))
    if path is None and not training:
        raise FileNotFoundError(
            f"{options.root} has no split 'val', and nothing tells which pictures were for evaluation; give "
            f"--data.split FILE ({FILE} of the run)."
        )
    whole = source.open(source.splits[0])
    split = Split.read(path) if path is not None else draw(whole, seed)
    if options.evaluation == "train" and not {*split.train} & {*whole.names}:
        return Opened(None, whole, None, tuple(source.remarks))  # the split of a run, and other data
    split.check(whole.names, options.root or "")
    parts = {"train": whole.only(split.train), "val": whole.only(split.val)}
    remarks = (*source.remarks, _told(options, split, path, len(whole)))
    return Opened(parts["train"] if training else None, parts[options.evaluation], split, remarks)


def draw(dataset: OwnDataset, seed: int) -> Split:
    """Draw one fifth of a data set for evaluation, so that each class stays in training.

    Args:
        dataset: All of the pictures.
        seed: Decides.
    """
    few = len(dataset) <= LOOKED_AT
    classes = {name: dataset.classes_of(index) for index, name in enumerate(dataset.names)} if few else {}
    return seeded_split(dataset.names, classes, seed=seed)


def _undivided(source: Source) -> bool:
    """Say whether there is nothing to evaluate on."""
    return len(source.splits) == 1 and source.splits[0] in (None, "train")


def _told(options: DataOptions, split: Split, path: Path | None, whole: int) -> str:
    count = len(split.train) + len(split.val)
    by = f"the seed {split.seed} draws" if path is None else f"{path} names"
    rest = f"; {whole - count} pictures are in neither" if whole > count else ""
    where = f"; their names go into {FILE} of the run" if path is None else ""
    return (
        f"{options.root} has no split for evaluation: {by} {len(split.val)} of {count} pictures for it{where}"
        f"{rest}."
    )
