"""The options of images with masks, as typed values; recipes hold what differs from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from subquad.base.limits import PICTURE_PIXELS
from subquad.base.suggest import did_you_mean
from subquad.tasks.segmentation.data.camvid import CamVid
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.labels import SegmentationDataset, class_frequencies, class_weights
from subquad.tasks.segmentation.data.published_sets import PUBLISHED, open_published
from subquad.tasks.segmentation.data.scenes import Scenes

if TYPE_CHECKING:
    from subquad.tasks.segmentation.data.batches import Transform
    from subquad.tasks.segmentation.data.module import SegmentationData

DATA_SETS = ("scenes", "camvid", "folder", *PUBLISHED)
SCENES_EVALUATED = 200
COUNTED = 500  # samples are enough to know how often classes occur
ClassWeights = Literal["none", "log", "median"]


@dataclass
class DataOptions:
    """Which data, and how it is presented.

    Attributes:
        name: "folder" (images and masks of your own), "scenes" (built in), "camvid", "ade20k", "voc",
            "pascal_context", "pascal_context_60" (with background), "cityscapes" or "coco_stuff".
        root: Folder of the data. camvid looks into $SUBQUAD_DATA/camvid if it is not given.
        classes: File of class names and colours; the folder's classes.json or classes.txt if not given.
        num_classes: Instead of a file of class names.
        images: Name of the folder of the images ("folder" only).
        masks: Name of the folder of the masks ("folder" only); labels, masks or annotations if not given.
        max_pixels: Refuse pictures and masks of more ("folder" only); 268 million if not given.
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


def build_data(options: DataOptions, seed: int, *, training: bool = True) -> SegmentationData:
    """Return the `SegmentationData` of these options."""
    from subquad.tasks.segmentation.data.module import SegmentationData
    from subquad.tasks.segmentation.data.transforms import EvalTransform

    if training and options.name in DATA_SETS:
        refuse_folder_options(options)
    return SegmentationData(
        open_split(options, options.train, seed) if training else None,
        open_split(options, options.evaluation, seed),
        train_transform=train_transform(options),
        eval_transform=EvalTransform(options.eval_size),
        batch_size=options.batch_size,
        eval_batch_size=options.eval_batch_size,
        workers=options.workers,
        seed=seed,
    )


def train_transform(options: DataOptions) -> Transform:
    """Return the `PublishedTransform` if any of its own options is set, else the `TrainTransform`.

    Raises:
        ValueError: If options of both are set, or one is out of range.
    """
    from subquad.tasks.segmentation.data.published_transforms import PublishedTransform
    from subquad.tasks.segmentation.data.transforms import TrainTransform

    jitter = {name: getattr(options, name) for name in ("brightness", "contrast", "saturation", "hue")}
    if (options.resize, options.scales, options.cat_max_ratio, options.photometric) == (None, None, 1, False):
        return TrainTransform(options.crop, options.scale, options.flip, **jitter)
    for name, strength in jitter.items():
        if strength:
            raise ValueError(
                f"--data.{name} {strength} does not go with --data.resize, scales, cat_max_ratio or "
                "photometric; take --data.photometric true in its place."
            )
    if options.scales is not None and options.scale != (1.0, 1.0):
        raise ValueError(
            f"--data.scales {options.scales} takes the place of --data.scale {options.scale}; give one."
        )
    return PublishedTransform(
        options.crop,
        options.resize,
        options.scale,
        options.scales,
        options.cat_max_ratio,
        options.flip,
        options.photometric,
    )


def open_split(options: DataOptions, split: str, seed: int) -> SegmentationDataset:
    """Open one split of a data set.

    Raises:
        ValueError: If the data set's name is unknown, or its files do not fit together.
        FileNotFoundError: If its folder is not there.
    """
    if options.name == "scenes":
        # The scenes that are evaluated are always the same, whatever the seed of training.
        return (
            Scenes(options.length, seed=seed, size=options.size)
            if split == "train"
            else Scenes(SCENES_EVALUATED, seed=0, size=options.size, split="val")
        )
    if options.name == "camvid":
        return CamVid(options.root, split)  # pyright: ignore[reportArgumentType]  checked there
    if options.name == "folder":
        if options.root is None:
            raise ValueError("the data set needs a folder: give --data.root PATH.")
        if not Path(options.root).is_dir():
            raise FileNotFoundError(f"there is no folder {options.root}; correct --data.root.")
        return SegmentationFolder(
            options.root,
            split,
            classes=options.classes,
            num_classes=options.num_classes,
            images=options.images,
            masks=options.masks,
            max_pixels=PICTURE_PIXELS if options.max_pixels is None else options.max_pixels,
        )
    if options.name in PUBLISHED:
        return open_published(options.name, options.root, split)
    raise ValueError(
        f"unknown data set {options.name!r}.{did_you_mean(options.name, DATA_SETS)} There are "
        f"{', '.join(DATA_SETS)}."
    )


def refuse_folder_options(options: DataOptions) -> None:
    """Raise ValueError if what only a folder of one's own leaves open is given for another data set.

    Args:
        options: Of the data.
    """
    if options.name == "folder":
        return
    if options.classes is not None or options.num_classes is not None:
        raise ValueError(
            f"the classes of {options.name} are known; leave --data.classes and --data.num_classes out."
        )
    if (options.images, options.masks, options.max_pixels) != ("images", None, None):
        raise ValueError(
            f"the folders and sizes of {options.name} are known; leave --data.images, --data.masks and "
            "--data.max_pixels out."
        )


def weights_of_classes(rule: ClassWeights, data: SegmentationData) -> list[float]:
    """Return one weight a class, from how often it occurs in the training set; empty for "none"."""
    if rule == "none":
        return []
    assert data.train is not None
    return class_weights(class_frequencies(data.train, most=COUNTED), rule).tolist()
