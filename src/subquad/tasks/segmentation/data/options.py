"""The options of images with masks, as typed values; recipes hold what differs from them.

The parser looks up the types of a module's names, those for type checkers too: nothing heavy stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ClassWeights = Literal["none", "log", "median"]


@dataclass
class DataOptions:
    """Which data, and how it is presented.

    Attributes:
        name: "folder" (images and masks of your own, or what an annotation tool exported, told by its
            files), or the format of that: "coco", "coco_panoptic", "cvat", "label_studio", "labelme", "yolo"
            or "voc_style"; "scenes" (built in), "camvid", "ade20k", "voc", "pascal_context",
            "pascal_context_60" (with background), "cityscapes" or "coco_stuff".
        root: Folder of the data. camvid looks into $SUBQUAD_DATA/camvid if it is not given.
        classes: File of class names and colours; the folder's classes.json or classes.txt if not given.
        num_classes: Instead of a file of class names.
        images: Name of the folder of the images ("folder" only).
        masks: Name of the folder of the masks ("folder" only); labels, masks or annotations if not given.
        max_pixels: Refuse pictures and masks of more ("folder" only); 268 million if not given.
        bands: Of the pictures ("folder" only); told by the first picture if not given: 3, or those of TIFF.
        split: File that names the pictures of training and evaluation, where one folder holds both; a
            seeded one, kept as split.json of the run, if not given.
        train: Name of the training split. "train" of voc is trainaug where SegmentationClassAug is there.
        evaluation: Name of the split that is evaluated.
        length: Number of training scenes ("scenes" only).
        size: Height and width of scenes ("scenes" only).
        crop: Height and width of training crops; the whole image if not given.
        resize: Longest and shortest side that training images are fitted to, keeping their shape,
            before the random factor; their own size if not given.
        scale: Smallest and largest random factor of the image size.
        scales: Factors of the image size of which one is drawn, instead of scale.
        cat_max_ratio: Part of a crop that its most frequent class may not reach, or up to ten more
            crops are drawn; 1 takes the first.
        flip: Probability of a horizontal flip.
        brightness: Strength of the random change, 0 to 1.
        contrast: Strength of the random change, 0 to 1.
        saturation: Strength of the random change, 0 to 1.
        hue: Strength of the random change, 0 to 0.5.
        photometric: Random brightness, contrast, saturation and hue as the published recipes have
            them, instead of the four strengths.
        eval_size: Height and width to which evaluated images are resized; as they are if not given.
        batch_size: Of training, for each process.
        eval_batch_size: Of evaluation, for each process; 1 takes images of any sizes.
        workers: Loader processes for each training process; 0 loads in the training process.
    """

    name: str = "folder"
    root: str | None = None
    classes: str | None = None
    num_classes: int | None = None
    images: str = "images"
    masks: str | None = None
    max_pixels: int | None = None
    bands: int | None = None
    split: str | None = None
    train: str = "train"
    evaluation: str = "val"
    length: int = 4000
    size: tuple[int, int] = (96, 96)
    crop: tuple[int, int] | None = None
    resize: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    scales: tuple[float, ...] | None = None
    cat_max_ratio: float = 1.0
    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    photometric: bool = False
    eval_size: tuple[int, int] | None = None
    batch_size: int = 8
    eval_batch_size: int = 1
    workers: int = 0
