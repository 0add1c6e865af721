"""Data sets, paired transforms and checks; this layer knows no model."""

from subquad.data.ade20k import ADE20K
from subquad.data.camvid import CAMVID_LABELS, CamVid
from subquad.data.check import check_folder
from subquad.data.check_published import check_published
from subquad.data.cityscapes import Cityscapes
from subquad.data.coco_stuff import COCOStuff
from subquad.data.colors import IGNORE_INDEX, color_to_index, default_palette, index_to_color, voc_palette
from subquad.data.folder import SegmentationFolder
from subquad.data.labels import LabelSet, Sample, SegmentationDataset, class_frequencies, class_weights
from subquad.data.masks import read_mask
from subquad.data.pairs import paired
from subquad.data.pascal_context import PascalContext
from subquad.data.photometric import PhotometricDistortion
from subquad.data.pictures import read_image
from subquad.data.published import PublishedDataset, published_labels
from subquad.data.published_sets import PUBLISHED, open_published
from subquad.data.published_transforms import PublishedTransform, keep_ratio_size
from subquad.data.report import DataReport, SplitReport
from subquad.data.scenes import SCENES_LABELS, Scenes
from subquad.data.sequences import SequenceOptions, SequenceReport, Vocabulary, check_sequences
from subquad.data.transforms import PADDING_COLOR, EvalTransform, TrainTransform
from subquad.data.voc import PascalVOC, voc_images

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
    "DataReport",
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
    "SequenceOptions",
    "SequenceReport",
    "SplitReport",
    "TrainTransform",
    "Vocabulary",
    "check_folder",
    "check_published",
    "check_sequences",
    "class_frequencies",
    "class_weights",
    "color_to_index",
    "default_palette",
    "index_to_color",
    "keep_ratio_size",
    "open_published",
    "paired",
    "published_labels",
    "read_image",
    "read_mask",
    "voc_images",
    "voc_palette",
]
