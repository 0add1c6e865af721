"""How many classes a folder of masks has, where no file names them: from the masks themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from subquad.base.limits import PICTURE_PIXELS
from subquad.tasks.segmentation.data.colors import IGNORE_INDEX
from subquad.tasks.segmentation.data.folder import find_labels, find_split, find_splits
from subquad.tasks.segmentation.data.masks import open_mask
from subquad.tasks.segmentation.data.options import DataOptions
from subquad.tasks.segmentation.data.pairs import mask_files
from subquad.tasks.segmentation.data.sources import format_of


def unnamed_classes(options: DataOptions) -> int | None:
    """Return the number of classes of masks that hold each of 0, 1, ... up to it.

    None where something names the classes, where nobody is asked for them, and where the values leave open
    what they mean (colours, gaps, a start at 1): `subquad data check` says what to do then.

    Args:
        options: Of the data.
    """
    root = Path(options.root or "")
    if options.num_classes is not None or options.classes is not None or not root.is_dir():
        return None
    if format_of(root, options.images, options.masks) != "folder" or find_labels(root) is not None:
        return None
    most = PICTURE_PIXELS if options.max_pixels is None else options.max_pixels
    seen: set[int] = set()
    for split in find_splits(root, options.images):
        for path in mask_files(find_split(root, split, options.images, options.masks)[1]):
            values = open_mask(path, most).values
            if values.ndim != 2:
                return None
            seen |= set(np.unique(values).tolist())
    seen.discard(IGNORE_INDEX)
    return len(seen) if len(seen) > 1 and seen == set(range(len(seen))) else None
