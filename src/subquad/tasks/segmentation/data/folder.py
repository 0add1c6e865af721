"""A data set of one's own: a folder of images and a folder of masks."""

import os
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Self

from torch.utils.data import Dataset

from subquad.base.hidden import visible
from subquad.base.limits import PICTURE_PIXELS
from subquad.base.suggest import quote
from subquad.data.bands import RGB
from subquad.data.fingerprint import file_parts
from subquad.data.picture_files import holds_pictures, image_files, left_out
from subquad.data.pictures import read_picture
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.exports import layout_hint
from subquad.tasks.segmentation.data.labels import LabelSet, Sample
from subquad.tasks.segmentation.data.masks import check_same_size, read_mask
from subquad.tasks.segmentation.data.pairs import MASK_FOLDERS, mask_files, masks_left_out, paired

CLASSES_FILES = ("classes.json", "classes.txt")
USUAL_SPLITS = ("train", "val", "test")


class SegmentationFolder(Dataset[Sample]):
    """Images and masks of the same names in two folders.

    Three layouts are understood; the folder of the masks is the first of `labels`, `masks` and
    `annotations` that holds pictures::

        root/train/images  root/train/labels        one folder per split
        root/images/train  root/labels/train        the same the other way round
        root/images        root/labels              no splits

    Args:
        root: The folder of the data set.
        split: The name of the split; a data set without splits is `"train"` or None.
        classes: A label set or the file of one (see `LabelSet.from_file`); by default
            `classes.json` or `classes.txt` in `root`.
        num_classes: The number of classes when no file names them; if a file does, the two must
            agree.
        images: The name of the folder of the images.
        masks: The name of the folder of the masks, if it is none of the three above.
        max_pixels: Refuse pictures and masks of more.
        bands: Of the pictures; other than 3 of TIFF that stores so many.

    Attributes:
        labels: The classes.
        names: Of the samples: their files without suffix.
        pairs: The (image path, mask path) of each sample, sorted by name.
        remarks: What looks like data and is not taken, one sentence each.

    Raises:
        FileNotFoundError: If a folder or the classes file is missing, or there are no images.
        ValueError: If the classes are unknown, or files have no partner.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = "train",
        *,
        classes: LabelSet | str | Path | None = None,
        num_classes: int | None = None,
        images: str = "images",
        masks: str | None = None,
        max_pixels: int = PICTURE_PIXELS,
        bands: int = RGB,
    ) -> None:
        """Find the files; nothing is decoded yet."""
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no folder {root}; correct the path of the data set.")
        if not any(self.root.iterdir()):
            raise FileNotFoundError(
                f"{root} is empty; put pictures into {self.root / images} and masks of the same names into "
                f"{self.root / (masks or MASK_FOLDERS[0])}, or correct the path of the data set."
            )
        labels = find_labels(self.root, classes, num_classes)
        try:
            images_dir, masks_dir = find_split(self.root, split, images, masks)
            self.pairs = paired(images_dir, masks_dir)
        except (FileNotFoundError, ValueError) as error:
            if hint := layout_hint(self.root):
                raise type(error)(f"{error} {hint}") from error
            if loose := loose_pictures(self.root, images, masks):
                raise FileNotFoundError(loose) from error
            raise
        if labels is None:
            raise ValueError(
                f"the classes of {root} are unknown; put a classes.json there, or give the number of "
                f"classes (on the command line --data.num_classes); `subquad data check {root}` tells what "
                "the masks hold."
            )
        self.labels: LabelSet = labels
        self.remarks = (*left_out(images_dir), *masks_left_out(masks_dir), *other_masks(masks_dir, masks))
        self.max_pixels, self.bands = max_pixels, bands

    @property
    def names(self) -> Sequence[str]:
        """What the samples are called."""
        return [image.stem for image, _ in self.pairs]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.pairs)

    def fingerprint_parts(self) -> Iterable[bytes]:
        """Return the names and sizes of the files."""
        return file_parts([path for pair in self.pairs for path in pair[:2]])

    def __getitem__(self, index: int) -> Sample:
        """Decode one sample; its name is that of the file without suffix.

        Raises:
            IndexError: If there is no such sample.
            ValueError: If a file is corrupt or too large, the mask is lossy or holds a value of no
                class, or the sizes of image and mask differ.
        """
        image_path, mask_path = self.pairs[index]
        picture = read_picture(image_path, self.max_pixels, self.bands)
        mask = read_mask(mask_path, self.labels, self.max_pixels)
        check_same_size(picture, image_path, mask, mask_path)
        return Sample(picture.pixels, mask, image_path.stem)

    def source(self, index: int) -> Path:
        """Return the file of the picture of a sample."""
        return self.pairs[index][0]

    def classes_of(self, index: int) -> set[int]:
        """Return the classes in the mask of a sample."""
        mask = read_mask(self.pairs[index][1], self.labels, self.max_pixels)
        return {*mask.unique().tolist()} - {IGNORE_INDEX}

    def only(self, names: Collection[str]) -> Self:
        """Return the samples of these names alone."""
        chosen, wanted = copy(self), {*names}
        chosen.pairs = [pair for pair in self.pairs if pair[0].stem in wanted]
        return chosen


def find_labels(
    root: Path, classes: LabelSet | str | Path | None = None, num_classes: int | None = None
) -> LabelSet | None:
    """Decide on the label set: the one given, else that of a file in `root`, else generic names.

    Args:
        root: The folder of the data set.
        classes: A label set or the file of one.
        num_classes: The number of classes, if known.

    Returns:
        The label set, or None if nothing tells the classes.

    Raises:
        FileNotFoundError: If the file `classes` is missing.
        ValueError: If a file cannot be understood, or `num_classes` or another file contradicts it.
    """
    found = [root / name for name in CLASSES_FILES if os.path.lexists(root / name)] if classes is None else []
    if classes is None and not found:
        return None if num_classes is None else LabelSet.generic(num_classes)
    classes = classes or found[0]
    labels = classes if isinstance(classes, LabelSet) else LabelSet.from_file(classes)
    for other in found[1:]:
        if (names := LabelSet.from_file(other).names) != labels.names:
            raise ValueError(
                f"{classes} and {other} name other classes ({quote([*labels.names])}; {quote([*names])}); "
                "remove the one that is wrong, or say which is meant (on the command line --data.classes)."
            )
    if num_classes not in (None, labels.num_classes):
        source = "the label set" if isinstance(classes, LabelSet) else classes
        raise ValueError(
            f"num_classes={num_classes}, but {source} names {labels.num_classes} classes; "
            "drop the one that is wrong (on the command line --data.num_classes)."
        )
    return labels


def find_split(
    root: Path, split: str | None, images: str = "images", masks: str | None = None
) -> tuple[Path, Path]:
    """Find the folders of images and masks of one split.

    Args:
        root: The folder of the data set.
        split: The name of the split, or None for a data set without splits.
        images: The name of the folder of the images.
        masks: The name of the folder of the masks; None for any of the usual ones.

    Returns:
        The folder of the images and that of the masks.

    Raises:
        FileNotFoundError: If there is none.
    """
    _check_names(images, masks)
    mask_names = MASK_FOLDERS if masks is None else (masks,)
    candidates: list[tuple[Path, list[Path]]] = []
    if split is not None:
        candidates.append((root / split / images, [root / split / name for name in mask_names]))
        candidates.append((root / images / split, [root / name / split for name in mask_names]))
    # Without splits, "val" must not silently become the pictures that were trained on.
    if split in (None, "train"):
        candidates.append((root / images, [root / name for name in mask_names]))
    for images_dir, masks_dirs in candidates:
        there = [masks_dir for masks_dir in masks_dirs if masks_dir.is_dir()]
        if images_dir.is_dir() and there:
            # YOLO's export has text files in `labels`: the folder that holds pictures is meant.
            return images_dir, next(filter(mask_files, there), there[0])
    raise FileNotFoundError(
        f"{root} has no split {split!r}: looked for {candidates[0][0]} beside a folder "
        f"{' or '.join(mask_names)}; make these folders, name them (on the command line --data.images and "
        "--data.masks), or choose a split that is there (--data.train, --data.evaluation): "
        f"{', '.join(str(name) for name in find_splits(root, images)) or 'none'}."
    )


def loose_pictures(root: Path, images: str, masks: str | None) -> str:
    """Say what is missing where pictures lie in the folder of the data set alone; "" if not.

    Args:
        root: The folder of the data set.
        images: The name of the folder in which they should be.
        masks: The name of the folder of the masks; None for any of the usual ones.
    """
    names = MASK_FOLDERS if masks is None else (masks,)
    pictures = image_files(root)
    if not pictures or find_splits(root, images):  # of pictures where they belong, the trouble is another one
        return ""
    beside = next((name for name in names if (root / name).is_dir()), None)
    if beside is not None:
        return f"{root} holds {len(pictures)} pictures beside its {beside}; put them into {root / images}."
    return (
        f"{root} holds {len(pictures)} pictures, and neither masks nor annotations of them; put the pictures "
        f"into {root / images} and masks of the same names into {root / names[0]}, or put the export of "
        "an annotation tool beside them (`subquad predict` takes pictures alone)."
    )


def other_masks(masks_dir: Path, masks: str | None = None) -> list[str]:
    """Say that another folder could hold the masks, too, unless one was asked for.

    Args:
        masks_dir: The folder that was taken.
        masks: The name that was asked for.
    """
    # Of `labels/train` the name is that of the folder above.
    level = masks_dir if masks_dir.name in MASK_FOLDERS else masks_dir.parent
    below = masks_dir.relative_to(level)
    others = [level.parent / name / below for name in MASK_FOLDERS if name != level.name]
    found = [str(other) for other in others if masks is None and other.is_dir() and image_files(other)]
    if not found:
        return []
    return [
        f"{quote(found)} {'holds' if len(found) == 1 else 'hold'} pictures, too, but the masks are taken "
        f"from {masks_dir}; name the folder that is meant (--data.masks, of `data check` --masks), or "
        "remove the other."
    ]


def find_splits(root: Path, images: str = "images") -> dict[str | None, Path]:
    """Find the folder of images of each split: train, val, test, then the others.

    A data set without splits has the single name None.
    """
    _check_names(images)
    found: dict[str | None, Path] = {path.name: path / images for path in visible(root)}
    if (root / images).is_dir():
        found |= {path.name: path for path in visible(root / images)}
    # A folder whose pictures are all left out is a split, too, or nobody would hear of it.
    found = {name: path for name, path in found.items() if path.is_dir() and holds_pictures(path)}
    if (root / images).is_dir() and image_files(root / images):
        found[None] = root / images
    usual = dict.fromkeys(name for name in USUAL_SPLITS if name in found)
    return {name: found[name] for name in [*usual, *sorted(found.keys() - usual.keys(), key=str)]}


def _check_names(images: str, masks: str | None = None) -> None:
    """Raise ValueError unless these can name two folders beside each other."""
    options = "(on the command line --data.images and --data.masks, of `data check` --images and --masks)"
    for name in (images, masks):
        if name is not None and (not name or Path(name).is_absolute() or ".." in Path(name).parts):
            raise ValueError(
                f"{name!r} names no folder in the data set; give one such as {MASK_FOLDERS[0]} {options}."
            )
    if images == masks:
        raise ValueError(
            f"images and masks are both to be taken from {images!r}; name a folder of each {options}."
        )
