"""Data sets, paired transforms and checks; this layer knows no model."""

from subquad.data.camvid import CAMVID_LABELS, CamVid
from subquad.data.check import DataReport, SplitReport, check_folder
from subquad.data.folder import SegmentationFolder
from subquad.data.images import class_frequencies, paired, read_image, read_mask
from subquad.data.labels import (
    IGNORE_INDEX,
    LabelSet,
    Sample,
    SegmentationDataset,
    class_weights,
    color_to_index,
    default_palette,
    index_to_color,
)
from subquad.data.scenes import SCENES_LABELS, Scenes
from subquad.data.transforms import PADDING_COLOR, EvalTransform, TrainTransform

__all__ = [
    "CAMVID_LABELS",
    "IGNORE_INDEX",
    "PADDING_COLOR",
    "SCENES_LABELS",
    "CamVid",
    "DataReport",
    "EvalTransform",
    "LabelSet",
    "Sample",
    "Scenes",
    "SegmentationDataset",
    "SegmentationFolder",
    "SplitReport",
    "TrainTransform",
    "check_folder",
    "class_frequencies",
    "class_weights",
    "color_to_index",
    "default_palette",
    "index_to_color",
    "paired",
    "read_image",
    "read_mask",
]
