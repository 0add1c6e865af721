"""The folder of shared data sets, which the environment variable `SUBQUAD_DATA` names."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(name: str, root: str | Path | None, *, who: str, give: str) -> Path:
    """Return the folder of a data set: the one given, or `$SUBQUAD_DATA/name`.

    Args:
        name: What the folder of the set is called among the shared ones.
        root: The folder as the user gave it, if at all.
        who: What the set is called in the complaint.
        give: How its folder is given.

    Raises:
        ValueError: If neither is there.
    """
    if root is not None:
        return Path(root)
    if shared := os.environ.get("SUBQUAD_DATA", ""):
        return Path(shared) / name
    raise ValueError(
        f"{who} does not know where the data are; give {give} or set SUBQUAD_DATA to the folder that holds "
        f"{name}/."
    )
