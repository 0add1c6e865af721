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
