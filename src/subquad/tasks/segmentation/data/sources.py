"""Data of one's own: a folder of pictures and masks, or what an annotation tool wrote; opened once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol, Self

from subquad.base.limits import PICTURE_PIXELS
from subquad.data.bands import count_bands
from subquad.data.picture_files import image_files
from subquad.tasks.segmentation.data.annotations.classes import label_set
from subquad.tasks.segmentation.data.annotations.dataset import AnnotatedPictures
from subquad.tasks.segmentation.data.annotations.files import Embedded
from subquad.tasks.segmentation.data.annotations.items import Export
from subquad.tasks.segmentation.data.annotations.recognise import ANNOTATIONS, open_export, recognise
from subquad.tasks.segmentation.data.folder import SegmentationFolder, find_split, find_splits
from subquad.tasks.segmentation.data.labels import LabelSet, Sample
from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.pairs import mask_files

OWN = ("folder", *ANNOTATIONS)
"""Names of the data sets of one's own."""


class OwnDataset(Protocol):
    """A `SegmentationDataset` whose samples have names and files."""

    bands: int

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """What the samples are called; each name once."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def source(self, index: int) -> Path | Embedded:
        """Return where the picture of a sample is."""
        ...

    def classes_of(self, index: int) -> set[int]:
        """Return the classes of a sample, without its picture."""
        ...

    def only(self, names: Collection[str]) -> Self:
        """Return the samples of these names alone."""
        ...

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return names and sizes of the files."""
        ...


class Source(ABC):
    """Data of one's own, with all splits.

    Attributes:
        splits: Their names; None of data without splits.
        remarks: What is good to know of them, one sentence each.
    """

    splits: Sequence[str | None]
    remarks: Sequence[str] = ()

    @abstractmethod
    def open(self, split: str | None) -> OwnDataset:
        """Open one split.

        Raises:
            FileNotFoundError: If there is no such split.
            ValueError: If its files do not fit together.
        """


class FolderSource(Source):
    """Pictures and masks of the same names, see `SegmentationFolder`."""

    def __init__(self, root: Path, options: DataOptions) -> None:
        self.root, self.options = root, options
        folders = find_splits(root, options.images)
        self.splits = tuple(folders)
        first = next((path for folder in folders.values() for path in image_files(folder)), None)
        self.bands = options.bands or (3 if first is None else count_bands(first))

    def open(self, split: str | None) -> SegmentationFolder:
        """Open one split."""
        options = self.options
        return SegmentationFolder(
            self.root,
            split,
            classes=options.classes,
            num_classes=options.num_classes,
            images=options.images,
            masks=options.masks,
            max_pixels=PICTURE_PIXELS if options.max_pixels is None else options.max_pixels,
            bands=self.bands,
        )


class ExportSource(Source):
    """What an annotation tool wrote."""

    def __init__(self, root: Path, name: str, options: DataOptions) -> None:
        labels = None if options.classes is None else LabelSet.from_file(options.classes)
        self.export = export = open_export(root, name, labels)
        refuse_problems(export)
        self.labels = label_set(export, labels, options.num_classes)
        self.splits = export.splits
        self.remarks = (f"{root} is read as {export.tool}: {in_words(export)}.", *export.notes)
        paths = (item.picture for item in export.items if isinstance(item.picture, Path))
        first = next(paths, None)
        self.bands = options.bands or (3 if first is None else count_bands(first))
        self.max_pixels = PICTURE_PIXELS if options.max_pixels is None else options.max_pixels

    def open(self, split: str | None) -> AnnotatedPictures:
        """Open one split; "train" of data without splits is all of them."""
        if split == "train" and self.splits == [None]:
            split = None
        if split not in self.splits:
            there = ", ".join(map(str, self.splits))
            raise FileNotFoundError(
                f"{self.export.root} has no split {split!r}: {self.export.tool} names {there}; choose one "
                "that "
                "is there (--data.train, --data.evaluation)."
            )
        return AnnotatedPictures(
            self.export, split, self.labels, max_pixels=self.max_pixels, bands=self.bands
        )


def open_source(options: DataOptions) -> Source:
    """Open data of one's own.

    Args:
        options: Of the data, with a name that is one of `OWN`.

    Raises:
        FileNotFoundError: If there is no such folder, or nothing in it.
        ValueError: If it cannot be understood.
    """
    if options.root is None:
        raise ValueError("the data set needs a folder of pictures and their masks: give --data.root PATH.")
    root = Path(options.root)
    if not root.is_dir():
        packed = f" {root} is packed: unpack it, and give the folder." if root.suffix == ".zip" else ""
        raise FileNotFoundError(f"there is no folder {options.root}; correct --data.root.{packed}")
    name = format_of(root, options.images, options.masks) if options.name == "folder" else options.name
    return FolderSource(root, options) if name == "folder" else ExportSource(root, name, options)


def format_of(root: Path, images: str = "images", masks: str | None = None) -> str:
    """Return which of `OWN` a folder is: "folder" if it holds masks, or nothing that is known.

    Args:
        root: The folder.
        images: The name of the folder of images.
        masks: The name of the folder of masks; None for any of the usual ones.
    """
    if (images, masks) != ("images", None) or has_masks(root):
        return "folder"
    return recognise(root) or "folder"


def has_masks(root: Path) -> bool:
    """Say whether there are masks beside pictures, in one of the layouts of `SegmentationFolder`."""
    for split in find_splits(root):
        try:
            if mask_files(find_split(root, split)[1]):
                return True
        except FileNotFoundError:
            continue
    return False


def refuse_problems(export: Export) -> None:
    """Raise ValueError with the first of an export's problems, or if there is no picture in it."""
    if export.problems:
        more = len(export.problems) - 1
        others = f" ({more} more: `subquad data check {export.root}`)" if more else ""
        raise ValueError(f"{export.problems[0]}{others}")
    if not export.items:
        raise ValueError(
            f"{export.root} is read as {export.tool}, but no picture is annotated in it; add some."
        )


def in_words(export: Export) -> str:
    """Return how much an export holds."""
    shapes = [shape for item in export.items for shape in item.shapes]
    stored = sum(item.stored is not None for item in export.items)
    ignored = sum(shape.ignored for shape in shapes)
    empty = sum(not item.shapes and item.stored is None for item in export.items)
    told = [f"{len(export.items)} pictures"]
    told += [f"{stored} masks"] if stored else []
    told += [f"{len(shapes)} shapes" + (f" ({ignored} ignored)" if ignored else "")] if shapes else []
    told += [f"{empty} pictures without a shape, all background"] if empty else []
    return ", ".join(told)
