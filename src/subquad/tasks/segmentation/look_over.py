"""Looking at the data of a run before it starts: what teaches nothing, and what is left out."""

from __future__ import annotations

import sys
from typing import Any


def look_over(options: Any, data: Any) -> None:
    """Say on stderr what a user would take for data and is not, and refuse what teaches nothing.

    Args:
        options: Which data; its splits are called by these names.
        data: The `SegmentationData` of them.

    Raises:
        ValueError: If there is but one class to train, or one of which training pixels are labelled.
    """
    from subquad.engine.progress import is_first_process
    from subquad.tasks.segmentation.data.labels import few_labelled, labelled_classes, one_class_is_none

    labels, said = data.labels, [*data.remarks]
    if data.train is not None and labels.num_classes == 1:
        raise ValueError(one_class_is_none(labels))
    for name, split in ((options.train, data.train), (options.evaluation, data.evaluation)):
        if split is None or options.name == "scenes":
            continue
        said += [f"{name}: {remark}" for remark in getattr(split, "remarks", ())]
        few = few_labelled(labelled_classes(split), labels)
        if few and split is data.train:
            raise ValueError(f"{name}: {few}")
        said += [f"{name}: {few}"] if few else []
    if is_first_process():
        sys.stderr.write("".join(f"note: {remark}\n" for remark in said))
