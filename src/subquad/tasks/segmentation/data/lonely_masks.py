"""Masks of a published data set that have no picture."""

from collections.abc import Sequence
from pathlib import Path

from subquad.base.suggest import quote
from subquad.data.picture_files import image_files
from subquad.tasks.segmentation.data.published import PublishedDataset


def lonely_masks(datasets: Sequence[PublishedDataset]) -> list[str]:
    """Say which masks have no picture in any folder of pictures; one sentence a folder, with the remedy.

    Lists of pictures do not matter: a mask of VOC whose picture is in no list is not lonely.

    Args:
        datasets: Splits of one data set.
    """
    images: dict[Path, set[Path]] = {}  # folders of pictures, by the folder of their masks
    endings: dict[Path, set[str]] = {}  # of the masks' names, after the picture's
    for dataset in datasets:
        for pair in dataset.pairs:
            images.setdefault(pair.mask.parent, set()).add(pair.image.parent)
            ending = pair.mask.stem.removeprefix(dataset.name_of(pair.image))
            endings.setdefault(pair.mask.parent, set()).add(ending)
    problems = []
    for folder, sources in images.items():
        known = {datasets[0].name_of(image) for source in sources for image in image_files(source)}
        ends = sorted(endings[folder], key=len, reverse=True)
        masks = [mask for mask in image_files(folder) if _name_of(mask, ends) not in (None, *known)]
        if lonely := [mask.name for mask in masks]:
            problems.append(
                f"{len(lonely)} masks of {folder} have no picture ({quote(lonely)}); add the pictures, or "
                "remove these masks."
            )
    return problems


def _name_of(mask: Path, endings: Sequence[str]) -> str | None:
    """Return what the set calls the picture of a mask; None if it is another kind of mask."""
    ending = next((ending for ending in endings if mask.stem.endswith(ending)), None)
    return None if ending is None else mask.stem.removesuffix(ending)
