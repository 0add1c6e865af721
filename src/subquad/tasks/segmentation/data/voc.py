"""PASCAL VOC 2012 with the extra masks known as SegmentationClassAug: 21 classes with background.

References:
    Everingham et al., The PASCAL Visual Object Classes Challenge 2012.
    Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011: the extra masks.
"""

from collections.abc import Sequence
from pathlib import Path

from subquad.tasks.segmentation.data.exports import LABELMAP
from subquad.tasks.segmentation.data.published import (
    Encoding,
    PublishedDataset,
    Source,
    plain_encoding,
    published_labels,
)
from subquad.tasks.segmentation.data.published_files import find_base, find_pairs, read_list

AUGMENTED, OFFICIAL = "SegmentationClassAug", "SegmentationClass"

_SOURCE = Source(
    "PASCAL VOC 2012",
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012 (VOCtrainval_11-May-2012.tar; SegmentationClassAug and "
    "trainaug.txt are made from http://home.bharathh.info/pubs/codes/SBD)",
    {"train": 1464, "val": 1449, "trainval": 2913, "trainaug": 10582, "test": 1456},
)


class PascalVOC(PublishedDataset):
    """PASCAL VOC 2012 with or without the extra masks.

    The layout is::

        JPEGImages/ID.jpg  SegmentationClassAug/ID.png  ImageSets/Segmentation/trainaug.txt
                           SegmentationClass/ID.png     datalist/trainaug.txt

    A list has one `ID` a line, or the paths of image and mask, such as
    `/JPEGImages/ID.jpg /SegmentationClassAug/ID.png`. Masks are looked for in SegmentationClassAug
    first and in SegmentationClass then, for the split val the other way round. They hold the
    indices of a colour table, 255 is ignored.

    Args:
        root: The folder `VOC2012`, `VOCdevkit`, or the one above.
        split: `"train"` (1,464 pictures), `"trainaug"` (10,582), `"val"` (1,449), `"trainval"`
            (2,913), or any other list that is there. `"test"` has no masks, see `voc_images`.

    Raises:
        FileNotFoundError: If a folder, a list, a picture or a mask is missing.
        ValueError: If the split is `"test"`, `root` is None, or it is an annotation tool's export in
            the folders of VOC.
    """

    source = _SOURCE

    def __init__(self, root: str | Path | None, split: str = "trainaug") -> None:
        """Find the files; nothing is decoded yet."""
        if split == "test":
            raise ValueError(
                "the masks of PASCAL VOC 2012 test are not public; evaluate on 'val', or predict the "
                "pictures that subquad.tasks.segmentation.data.voc_images(root, 'test') lists and "
                "submit the masks."
            )
        base = voc_base(root)
        entries = _read_split(base, split)
        folders = (OFFICIAL, AUGMENTED) if split == "val" else (AUGMENTED, OFFICIAL)
        encoding = plain_encoding(21)

        def masks_of(image: Path) -> Sequence[tuple[Path, Encoding]]:
            named = entries[image]
            paths = [named] if named else [base / folder / f"{image.stem}.png" for folder in folders]
            return [(path, encoding) for path in paths]

        super().__init__(split, published_labels("voc"), find_pairs(entries, masks_of, self.source, split))


def voc_images(root: str | Path | None, split: str = "test") -> list[Path]:
    """List the pictures of a split, with or without masks, as for a submission to the test server.

    Args:
        root: As for `PascalVOC`.
        split: The name of a list.

    Raises:
        FileNotFoundError: If a folder, the list or a picture is missing.
        ValueError: If `root` is None, or the list is empty.
    """
    base = voc_base(root)
    images = list(_read_split(base, split))
    if absent := [image for image in images if not image.is_file()]:
        raise _SOURCE.missing(
            f"{len(absent)} of {len(images)} pictures of {_SOURCE.title}, split {split}, are missing: "
            f"the first is {absent[0]}"
        )
    return images


def voc_training_split(root: str | Path | None) -> str:
    """Return "trainaug" where the extra masks are there, and "train" elsewhere.

    Raises:
        FileNotFoundError: If `root` does not hold the data set.
        ValueError: If `root` is None.
    """
    return "trainaug" if (voc_base(root) / AUGMENTED).is_dir() else "train"


def voc_base(root: str | Path | None) -> Path:
    """Return the folder that holds JPEGImages; errors as for `voc_training_split`."""
    base = find_base(root, (".", "VOC2012", "VOCdevkit/VOC2012"), "JPEGImages", _SOURCE)
    if (base / LABELMAP).is_file():
        raise ValueError(
            f"{base} holds masks of colours as CVAT exports them ({LABELMAP}), not PASCAL VOC 2012; leave "
            "the "
            "name of the data out, and they are read."
        )
    return base


def _read_split(base: Path, split: str) -> dict[Path, Path | None]:
    """Return the images of a list, each with its mask if the list names it."""
    folders = [base / "ImageSets" / "Segmentation", base / "datalist", base.parent / "datalist"]
    _, lines = read_list([folder / f"{split}.txt" for folder in folders], _SOURCE)
    entries: dict[Path, Path | None] = {}
    for first, *rest in lines:
        is_path = Path(first).suffix.lower() in (".jpg", ".jpeg", ".png")
        image = base / first.lstrip("/") if is_path else base / "JPEGImages" / f"{first}.jpg"
        entries[image] = base / rest[0].lstrip("/") if rest and is_path else None
    return entries
