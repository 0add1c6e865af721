"""COCO-Stuff 164k: 118,287 training and 5,000 validation pictures, 80 things and 91 kinds of stuff.

References:
    Caesar, Uijlings, Ferrari, COCO-Stuff: Thing and Stuff Classes in Context, CVPR 2018.
"""

from collections.abc import Sequence
from pathlib import Path

from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.published import (
    Encoding,
    PublishedDataset,
    Source,
    plain_encoding,
    published_labels,
)
from subquad.tasks.segmentation.data.published_files import find_base, find_pairs, list_pictures, own_split

NUM_IDS = 182
UNUSED_IDS = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
"""Ids of `stuffthingmaps` for which COCO has a number but no pictures; the others make 171 classes."""


class COCOStuff(PublishedDataset):
    """COCO-Stuff 164k, with the masks of `stuffthingmaps_trainval2017.zip` or the usual conversion.

    The layout is::

        images/train2017/*.jpg  annotations/train2017/*_labelTrainIds.png
        images/val2017/*.jpg    annotations/val2017/*.png

    Where there is no `labelTrainIds` mask, the ids of the published one are turned into the 171
    classes. The folder of the masks may also be called `stuffthingmaps_trainval2017`.

    Args:
        root: The folder that holds `images` and the masks.
        split: `"train"` or `"val"`.

    Raises:
        FileNotFoundError: If a folder, a picture or a mask is missing.
        ValueError: If there is no such split, or `root` is None.
    """

    source = Source(
        "COCO-Stuff 164k",
        "https://github.com/nightrome/cocostuff (train2017, val2017 and stuffthingmaps_trainval2017.zip)",
        {"train2017": 118287, "val2017": 5000},
    )

    def __init__(self, root: str | Path | None, split: str = "train") -> None:
        """Find the files; nothing is decoded yet."""
        split = own_split(split, {"train": "train2017", "val": "val2017"}, self.source)
        base = find_base(root, (".",), f"images/{split}", self.source)
        images = list_pictures(base / "images" / split, self.source)
        train_ids, ids = plain_encoding(171), ids_encoding()
        maps = base / "stuffthingmaps_trainval2017" / split
        masks = base / "annotations" / split

        def masks_of(image: Path) -> Sequence[tuple[Path, Encoding]]:
            return [
                (masks / f"{image.stem}_labelTrainIds.png", train_ids),
                (masks / f"{image.stem}.png", ids),
                (maps / f"{image.stem}.png", ids),
            ]

        super().__init__(
            split, published_labels("coco_stuff"), find_pairs(images, masks_of, self.source, split)
        )


def ids_encoding() -> Encoding:
    """Return the encoding of the published masks."""
    used = [stored for stored in range(NUM_IDS) if stored not in UNUSED_IDS]
    labels = {stored: label for label, stored in enumerate(used)}
    return Encoding(labels | {255: IGNORE_INDEX}, f"ids 0..{NUM_IDS - 1} with gaps, and 255")
