"""ADE20K as SceneParse150: 20,210 training and 2,000 validation pictures, 150 classes.

References:
    Zhou et al., Scene Parsing through ADE20K Dataset, CVPR 2017.
"""

from pathlib import Path

from subquad.tasks.segmentation.data.published import (
    PublishedDataset,
    Source,
    published_labels,
    zero_reduced_encoding,
)
from subquad.tasks.segmentation.data.published_files import find_base, find_pairs, list_pictures, own_split


class ADE20K(PublishedDataset):
    """SceneParse150 as `ADEChallengeData2016.zip` unpacks.

    The layout is::

        images/training/*.jpg    annotations/training/*.png
        images/validation/*.jpg  annotations/validation/*.png

    Masks hold 0..150. 0 is unlabelled and becomes `IGNORE_INDEX`, k becomes class k - 1.

    Args:
        root: The folder `ADEChallengeData2016` or the one above it.
        split: `"train"` or `"val"`.

    Raises:
        FileNotFoundError: If a folder, a picture or a mask is missing.
        ValueError: If there is no such split, or `root` is None.
    """

    source = Source(
        "ADE20K",
        "http://sceneparsing.csail.mit.edu (ADEChallengeData2016.zip)",
        {"training": 20210, "validation": 2000},
    )

    def __init__(self, root: str | Path | None, split: str = "train") -> None:
        """Find the files; nothing is decoded yet."""
        split = own_split(split, {"train": "training", "val": "validation"}, self.source)
        base = find_base(root, (".", "ADEChallengeData2016"), f"images/{split}", self.source)
        masks, encoding = base / "annotations" / split, zero_reduced_encoding(150)
        images = list_pictures(base / "images" / split, self.source)
        pairs = find_pairs(
            images, lambda image: [(masks / f"{image.stem}.png", encoding)], self.source, split
        )
        super().__init__(split, published_labels("ade20k"), pairs)
