"""Opening the images with masks that the options name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from subquad.base.suggest import did_you_mean
from subquad.data.bands import RGB
from subquad.tasks.segmentation.data.camvid import CamVid
from subquad.tasks.segmentation.data.labels import SegmentationDataset, class_frequencies, class_weights
from subquad.tasks.segmentation.data.options import ClassWeights, DataOptions
from subquad.tasks.segmentation.data.own import Opened, open_own
from subquad.tasks.segmentation.data.published_sets import PUBLISHED, open_published
from subquad.tasks.segmentation.data.scenes import Scenes
from subquad.tasks.segmentation.data.sources import OWN, open_source
from subquad.tasks.segmentation.data.split import FILE

if TYPE_CHECKING:
    from subquad.tasks.segmentation.data.batches import Transform
    from subquad.tasks.segmentation.data.module import SegmentationData

DATA_SETS = ("scenes", "camvid", *OWN, *PUBLISHED)
SCENES_EVALUATED = 200
COUNTED = 500  # samples are enough to know how often classes occur


def build_data(
    options: DataOptions, seed: int, *, training: bool = True, run: Path | None = None, resumes: bool = False
) -> SegmentationData:
    """Return the `SegmentationData` of these options.

    Args:
        options: Of the data.
        seed: Of training.
        training: Whether there is a training set.
        run: Folder of the run, which keeps how one folder was divided; None keeps nothing.
        resumes: Whether the run was begun before, so that its division counts.
    """
    from subquad.tasks.segmentation.data.module import SegmentationData
    from subquad.tasks.segmentation.data.transforms import EvalTransform

    if training and options.name in DATA_SETS:
        refuse_folder_options(options)
    file = None if run is None else run / FILE
    if options.name in OWN:
        kept = file if file is not None and (resumes or not training) and file.is_file() else None
        opened = open_own(options, seed, training=training, kept=kept)
    else:
        train = open_split(options, options.train, seed) if training else None
        opened = Opened(train, open_split(options, options.evaluation, seed))
    return SegmentationData(
        opened.train,
        opened.evaluation,
        split=opened.split,
        split_file=file if training else None,
        remarks=opened.remarks,
        train_transform=train_transform(options, getattr(opened.evaluation, "bands", RGB)),
        eval_transform=EvalTransform(options.eval_size),
        batch_size=options.batch_size,
        eval_batch_size=options.eval_batch_size,
        workers=options.workers,
        seed=seed,
    )


def train_transform(options: DataOptions, bands: int = RGB) -> Transform:
    """Return the `PublishedTransform` if any of its own options is set, else the `TrainTransform`.

    Args:
        options: Of the data.
        bands: Of the pictures.

    Raises:
        ValueError: If options of both are set, or one is out of range or of colours that are not there.
    """
    from subquad.tasks.segmentation.data.published_transforms import PublishedTransform
    from subquad.tasks.segmentation.data.transforms import TrainTransform

    jitter = {name: getattr(options, name) for name in ("brightness", "contrast", "saturation", "hue")}
    colored = [name for name, strength in {**jitter, "photometric": options.photometric}.items() if strength]
    if colored and bands != RGB:
        raise ValueError(
            f"--data.{colored[0]} changes red, green and blue, but the pictures have {bands} bands; leave "
            "it out."
        )
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
    if options.name in OWN:
        return open_source(options).open(split)
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
    if options.name in OWN:
        if options.name != "folder" and (options.images, options.masks) != ("images", None):
            raise ValueError(
                f"{options.name} tells where its pictures are; leave --data.images and --data.masks out."
            )
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
    if (options.bands, options.split) != (None, None):
        raise ValueError(
            f"{options.name} has splits of colour pictures; leave --data.bands and --data.split out."
        )


def weights_of_classes(rule: ClassWeights, data: SegmentationData) -> list[float]:
    """Return one weight a class, from how often it occurs in the training set; empty for "none"."""
    if rule == "none":
        return []
    assert data.train is not None
    return class_weights(class_frequencies(data.train, most=COUNTED), rule).tolist()
