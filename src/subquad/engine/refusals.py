"""What commands refuse as soon as they can see it."""

from __future__ import annotations

from typing import Any

from subquad.models import SegmentationConfig
from subquad.models.classifier import ClassifierConfig


def require_segmentation(config: Any, path: str) -> None:
    """Raise ValueError unless a checkpoint is of a segmentation network.

    Args:
        config: Of the checkpoint.
        path: Of the checkpoint, as the user gave it.
    """
    if not isinstance(config, SegmentationConfig):
        whole = isinstance(config, ClassifierConfig)
        what = "classifies whole images" if whole else f"is of the family {config.family!r}"
        raise ValueError(f"{path} {what}; give the checkpoint of a segmentation network.")


def refuse_folder_options(options: Any) -> None:
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
