"""Finding the files of a published data set in its usual layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from subquad.data.picture_files import image_files
from subquad.tasks.segmentation.data.published import Encoding, Pair, Source


def own_split(split: str, names: dict[str, str], source: Source) -> str:
    """Return the set's own name of a split, which may be given as "train" and "val", too.

    Raises:
        ValueError: If there is no such split.
    """
    if split in names.values():
        return split
    if split not in names:
        raise ValueError(
            f"{source.title} has no split {split!r} with masks; take one of "
            f"{', '.join(dict.fromkeys([*names, *names.values()]))}."
        )
    return names[split]


def find_base(root: str | Path | None, bases: Sequence[str], marker: str, source: Source) -> Path:
    """Find the folder that a data set's paths begin in.

    Args:
        root: What the user gave: this folder or one above it.
        bases: The ways from `root` that are tried.
        marker: The folder that must be in it.
        source: For messages.

    Raises:
        ValueError: If `root` is None.
        FileNotFoundError: If there is no such folder.
    """
    if root is None:
        raise ValueError(
            f"{source.title} needs its folder: give root (on the command line --data.root PATH); "
            f"the set is had from {source.home}."
        )
    if not Path(root).is_dir():
        raise source.missing(f"there is no folder {root}")
    tried = [Path(root) / base / marker for base in bases]
    for base, wanted in zip(bases, tried, strict=True):
        if wanted.is_dir():
            return Path(root) / base
    raise source.missing(
        f"{root} does not hold {source.title} in its usual layout: there is no folder "
        f"{' nor '.join(map(str, tried))}"
    )


def list_pictures(folder: Path, source: Source) -> list[Path]:
    """List the pictures of a folder, sorted.

    Raises:
        FileNotFoundError: If it is not there or holds none.
    """
    if not folder.is_dir():
        raise source.missing(f"there is no folder {folder}")
    if not (pictures := image_files(folder)):
        raise source.missing(f"the folder {folder} holds no picture")
    return pictures


def read_list(candidates: Sequence[Path], source: Source) -> tuple[Path, list[list[str]]]:
    """Read the first list of pictures that exists.

    Returns:
        The file, and the words of each line that is not empty.

    Raises:
        FileNotFoundError: If none exists.
        ValueError: If it names no picture.
    """
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise source.missing(f"there is no list of pictures {' nor '.join(map(str, candidates))}")
    lines = [line.split() for line in found.read_text(encoding="utf-8-sig").splitlines()]
    lines = [words for words in lines if words]
    if not lines:
        raise ValueError(f"the list {found} is empty; write one picture a line.")
    return found, lines


def find_pairs(
    images: Iterable[Path],
    masks_of: Callable[[Path], Sequence[tuple[Path, Encoding]]],
    source: Source,
    split: str,
) -> list[Pair]:
    """Find the mask of each picture.

    Args:
        images: The pictures of the split; all must be there.
        masks_of: The files in which the mask of a picture may be, the best first.
        source: For messages.
        split: For messages.

    Raises:
        FileNotFoundError: If any picture or mask is missing; the first one is named.
    """
    names: dict[Path, set[str]] = {}  # a look into each folder once: sets have up to 118,000 pictures

    def exists(path: Path) -> bool:
        folder = path.parent
        if folder not in names:
            names[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
        return path.name in names[folder]

    pairs, absent, lonely, total = [], [], [], 0
    for image in images:
        total += 1
        found = next((mask for mask in masks_of(image) if exists(mask[0])), None)
        if not exists(image):
            absent.append(image)
        elif found is None:
            lonely.append(image)
        else:
            pairs.append(Pair(image, *found))
    if absent:
        raise source.missing(
            f"{len(absent)} of {total} pictures of {source.title}, split {split}, are missing: the first is "
            f"{absent[0]}"
        )
    if lonely:
        wanted = " nor ".join(str(mask) for mask, _ in masks_of(lonely[0]))
        raise source.missing(
            f"{len(lonely)} of {total} pictures of {source.title}, split {split}, have no mask: the first is "
            f"{lonely[0]}, for which there is no {wanted}"
        )
    return pairs
