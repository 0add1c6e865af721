"""PASCAL-Context: 4,998 training and 5,105 validation pictures, 59 classes or 60 with background.

References:
    Mottaghi et al., The Role of Context for Object Detection and Semantic Segmentation in the
    Wild, CVPR 2014.
"""

from pathlib import Path
from typing import Literal

from subquad.tasks.segmentation.data.published import (
    PublishedDataset,
    Source,
    plain_encoding,
    published_labels,
    zero_reduced_encoding,
)
from subquad.tasks.segmentation.data.published_files import find_base, find_pairs, own_split, read_list


class PascalContext(PublishedDataset):
    """PASCAL-Context as the usual converters write it.

    The layout is::

        JPEGImages/ID.jpg  SegmentationClassContext/ID.png  ImageSets/SegmentationContext/train.txt

    Masks hold 0..59, where 0 is background: class 0 of 60, or ignored with 59 classes, of which
    the first is then aeroplane.

    Args:
        root: The folder `VOC2010`, `VOCdevkit`, or the one above.
        split: `"train"` or `"val"`.
        classes: 59, or 60 with background.

    Raises:
        FileNotFoundError: If a folder, a list, a picture or a mask is missing.
        ValueError: If there is no such split, or `root` is None.
    """

    source = Source(
        "PASCAL-Context",
        "https://cs.stanford.edu/~roozbeh/pascal-context and the pictures from "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2010",
        {"train": 4998, "val": 5105},
    )

    def __init__(self, root: str | Path | None, split: str = "train", classes: Literal[59, 60] = 59) -> None:
        """Find the files; nothing is decoded yet."""
        if classes not in (59, 60):
            raise ValueError(f"PASCAL-Context has 59 classes, or 60 with background, not {classes}.")
        split = own_split(split, {"train": "train", "val": "val"}, self.source)
        base = find_base(root, (".", "VOC2010", "VOCdevkit/VOC2010"), "JPEGImages", self.source)
        lists = [base / "ImageSets" / "SegmentationContext" / f"{split}.txt"]
        images = [base / "JPEGImages" / f"{words[0]}.jpg" for words in read_list(lists, self.source)[1]]
        encoding = zero_reduced_encoding(59) if classes == 59 else plain_encoding(60)
        masks = base / "SegmentationClassContext"
        pairs = find_pairs(
            images, lambda image: [(masks / f"{image.stem}.png", encoding)], self.source, split
        )
        name = "pascal_context" if classes == 59 else "pascal_context_60"
        super().__init__(split, published_labels(name), pairs)
