"""Images with masks: data sets, paired transforms and checks.

Transforms need torchvision, which takes seconds to import, so they are imported when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from subquad.tasks.segmentation.data.ade20k import ADE20K
from subquad.tasks.segmentation.data.camvid import CAMVID_LABELS, CamVid
from subquad.tasks.segmentation.data.check import check_folder
from subquad.tasks.segmentation.data.check_exports import check_export
from subquad.tasks.segmentation.data.check_published import check_published
from subquad.tasks.segmentation.data.cityscapes import Cityscapes
from subquad.tasks.segmentation.data.coco_stuff import COCOStuff
from subquad.tasks.segmentation.data.colors import (
    IGNORE_INDEX,
    color_to_index,
    default_palette,
    index_to_color,
    voc_palette,
)
from subquad.tasks.segmentation.data.folder import SegmentationFolder
from subquad.tasks.segmentation.data.labels import (
    LabelSet,
    Sample,
    SegmentationDataset,
    class_frequencies,
    class_weights,
)
from subquad.tasks.segmentation.data.masks import read_mask
from subquad.tasks.segmentation.data.pairs import paired
from subquad.tasks.segmentation.data.pascal_context import PascalContext
from subquad.tasks.segmentation.data.published import PublishedDataset, published_labels
from subquad.tasks.segmentation.data.published_sets import PUBLISHED, open_published
from subquad.tasks.segmentation.data.report import SegmentationReport, SplitReport
from subquad.tasks.segmentation.data.scenes import SCENES_LABELS, Scenes
from subquad.tasks.segmentation.data.sources import open_source
from subquad.tasks.segmentation.data.split import Split, seeded_split
from subquad.tasks.segmentation.data.voc import PascalVOC, voc_images

if TYPE_CHECKING:
    from subquad.tasks.segmentation.data.photometric import PhotometricDistortion
    from subquad.tasks.segmentation.data.published_transforms import PublishedTransform, keep_ratio_size
    from subquad.tasks.segmentation.data.transforms import PADDING_COLOR, EvalTransform, TrainTransform

_LAZY = {
    "PADDING_COLOR": "transforms",
    "EvalTransform": "transforms",
    "PhotometricDistortion": "photometric",
    "PublishedTransform": "published_transforms",
    "TrainTransform": "transforms",
    "keep_ratio_size": "published_transforms",
}

__all__ = [
    "ADE20K",
    "CAMVID_LABELS",
    "IGNORE_INDEX",
    "PADDING_COLOR",
    "PUBLISHED",
    "SCENES_LABELS",
    "COCOStuff",
    "CamVid",
    "Cityscapes",
    "EvalTransform",
    "LabelSet",
    "PascalContext",
    "PascalVOC",
    "PhotometricDistortion",
    "PublishedDataset",
    "PublishedTransform",
    "Sample",
    "Scenes",
    "SegmentationDataset",
    "SegmentationFolder",
    "SegmentationReport",
    "Split",
    "SplitReport",
    "TrainTransform",
    "check_export",
    "check_folder",
    "check_published",
    "class_frequencies",
    "class_weights",
    "color_to_index",
    "default_palette",
    "index_to_color",
    "keep_ratio_size",
    "open_published",
    "open_source",
    "paired",
    "published_labels",
    "read_mask",
    "seeded_split",
    "voc_images",
    "voc_palette",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
