"""CamVid: 367 training, 101 validation and 233 test pictures of streets, 360 x 480, 11 classes.

References:
    Brostow, Fauqueur, Cipolla, Semantic Object Classes in Video: A High-Definition Ground Truth
    Database, Pattern Recognition Letters 30(2), 2009. The resampled version with 11 classes is
    that of Badrinarayanan, Kendall, Cipolla, SegNet, PAMI 2017.
"""

from pathlib import Path
from typing import Literal

from subquad.data.shared import data_folder
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.labels import LabelSet

CAMVID_LABELS = LabelSet(
    names=(
        "Sky",
        "Building",
        "Pole",
        "Road",
        "Pavement",
        "Tree",
        "SignSymbol",
        "Fence",
        "Car",
        "Pedestrian",
        "Bicyclist",
    ),
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    ignore_color=(0, 0, 0),
)


class CamVid(SegmentationFolder):
    """The CamVid data set; nothing is downloaded.

    Args:
        root: The folder with `train/images`, `train/labels` and so on; by default `camvid` in
            the folder that the environment variable `SUBQUAD_DATA` names.
        split: `"train"`, `"val"` or `"test"`.

    Raises:
        FileNotFoundError: If the split is not there.
        ValueError: If neither `root` nor `SUBQUAD_DATA` is given, or files have no partner.
    """

    def __init__(
        self, root: str | Path | None = None, split: Literal["train", "val", "test"] = "train"
    ) -> None:
        """Find the files; nothing is decoded yet."""
        super().__init__(
            data_folder("camvid", root, who="CamVid", give="root=,"), split, classes=CAMVID_LABELS
        )
