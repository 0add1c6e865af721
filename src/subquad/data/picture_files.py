"""Which files of a folder are pictures, and which look like some and are not taken."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from subquad.base.hidden import visible
from subquad.base.suggest import quote
from subquad.data.decoding import FORMATS, head_of, looks_like

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Names of files that are taken for pictures, in any case; the content tells what they are."""

SUFFIXES_IN_WORDS = "png, jpg, jpeg, bmp, tif or tiff"

# Pictures of a kind that is not read, and that their first bytes may not tell.
_OTHER_SUFFIXES = frozenset({".dcm", ".nii", ".npy", ".npz", ".raw", ".svg", ".tga", ".ppm", ".pgm", ".pbm"})
# Never pictures, and often as many as these: they are not looked into.
_TEXTS = frozenset({".txt", ".json", ".xml", ".csv", ".yaml", ".yml", ".md"})


def image_files(folder: Path) -> list[Path]:
    """List the files of a folder whose names are those of pictures, sorted, without hidden ones."""
    return [path for path in visible(folder) if path.suffix.lower() in SUFFIXES]


def left_out(folder: Path, but: Collection[str] = ()) -> list[str]:
    """Name what looks like pictures in a folder and is not taken, in one sentence a kind.

    Args:
        folder: Of pictures or masks.
        but: Suffixes of files that are taken all the same.
    """
    others, nested = [], []
    for path in visible(folder):
        suffix = path.suffix.lower()
        if suffix in SUFFIXES or suffix in _TEXTS or suffix in but:
            continue
        if path.is_dir():
            if image_files(path):
                nested.append(path.name)
        elif suffix in _OTHER_SUFFIXES or looks_like(head_of(path)):
            others.append(path.name)
    said = []
    if others:
        said.append(
            f"{quote(others)} of {folder} {'is' if len(others) == 1 else 'are'} left out: pictures are "
            f"{FORMATS}, with names in {SUFFIXES_IN_WORDS}; save {'it' if len(others) == 1 else 'them'} as "
            "PNG."
        )
    if nested:
        said.append(
            f"the pictures in the folders {quote(nested)} of {folder} are left out; put them into {folder} "
            "itself."
        )
    return said


def holds_pictures(folder: Path) -> bool:
    """Say whether there is anything in a folder that is a picture or looks like one."""
    return bool(image_files(folder) or left_out(folder))
