"""Cityscapes, fine annotations: 2,975 training and 500 validation pictures, 1024 x 2048, 19 classes.

References:
    Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016.
"""

from collections.abc import Sequence
from pathlib import Path

from subquad.base.hidden import visible
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.published import (
    Encoding,
    PublishedDataset,
    Source,
    plain_encoding,
    published_labels,
)
from subquad.tasks.segmentation.data.published_files import find_base, find_pairs, own_split

NUM_IDS = 34
EVALUATED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The ids of the 19 classes that are evaluated, in the order of their trainIds; all others are ignored."""

_IMAGE, _TRAIN_IDS, _IDS = "_leftImg8bit", "_gtFine_labelTrainIds", "_gtFine_labelIds"


class Cityscapes(PublishedDataset):
    """Cityscapes as its two archives unpack, with or without the masks that its scripts make.

    The layout is::

        leftImg8bit/train/CITY/*_leftImg8bit.png  gtFine/train/CITY/*_gtFine_labelTrainIds.png
        leftImg8bit/val/CITY/*_leftImg8bit.png    gtFine/val/CITY/*_gtFine_labelIds.png

    Where there is no `labelTrainIds` mask, the ids of `labelIds` are turned into trainIds.

    Args:
        root: The folder that holds `leftImg8bit` and `gtFine`.
        split: `"train"` or `"val"`; the masks of `"test"` are not public.

    Raises:
        FileNotFoundError: If a folder, a picture or a mask is missing.
        ValueError: If there is no such split, or `root` is None.
    """

    source = Source(
        "Cityscapes",
        "https://www.cityscapes-dataset.com (leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip)",
        {"train": 2975, "val": 500},
    )

    def __init__(self, root: str | Path | None, split: str = "train") -> None:
        """Find the files; nothing is decoded yet."""
        split = own_split(split, {"train": "train", "val": "val"}, self.source)
        base = find_base(root, (".", "cityscapes"), f"leftImg8bit/{split}", self.source)
        images = [
            image
            for city in visible(base / "leftImg8bit" / split)
            if city.is_dir()
            for image in visible(city)
            if image.name.endswith(f"{_IMAGE}.png")
        ]
        if not images:
            raise self.source.missing(f"there is no picture {base}/leftImg8bit/{split}/CITY/*{_IMAGE}.png")
        train_ids, ids = plain_encoding(19), ids_encoding()

        def masks_of(image: Path) -> Sequence[tuple[Path, Encoding]]:
            start = base / "gtFine" / split / image.parent.name / self.name_of(image)
            return [(Path(f"{start}{_TRAIN_IDS}.png"), train_ids), (Path(f"{start}{_IDS}.png"), ids)]

        pairs = find_pairs(images, masks_of, self.source, split)
        super().__init__(split, published_labels("cityscapes"), pairs)

    def name_of(self, image: Path) -> str:
        """City, sequence and frame, as in `aachen_000000_000019`."""
        return image.stem.removesuffix(_IMAGE)


def ids_encoding() -> Encoding:
    """Return the encoding of `labelIds` masks."""
    labels = dict.fromkeys(range(NUM_IDS), IGNORE_INDEX)
    labels |= {stored: label for label, stored in enumerate(EVALUATED_IDS)}
    # Number plates have the id -1, which some tools write as 255.
    return Encoding(labels | {255: IGNORE_INDEX}, f"ids 0..{NUM_IDS - 1}")
