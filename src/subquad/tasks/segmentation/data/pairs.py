"""Which mask belongs to which picture."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

from subquad.base.hidden import visible
from subquad.base.suggest import quote
from subquad.data.picture_files import SUFFIXES, SUFFIXES_IN_WORDS, image_files, left_out
from subquad.tasks.segmentation.data.array_masks import ARRAY

MASK_FOLDERS = ("labels", "masks", "annotations")

# What tools put behind the name of the picture.
_MASK_ENDINGS = ("_mask", "-mask", "_masks", "_label", "-label", "_labels", "_seg", "-seg", "_gt", "-gt")


def paired(images_dir: str | Path, masks_dir: str | Path) -> list[tuple[Path, Path]]:
    """Find the mask of each image: the file of the same name, without regard to the suffix.

    A mask may also have `_mask`, `_label`, `_seg` or `_gt` behind the name of the image, or the suffix of
    the image before its own.

    Args:
        images_dir: Folder of the images (png, jpg, bmp, tif in small or capital letters).
        masks_dir: Folder of the masks (the same, or npy).

    Returns:
        Pairs (image path, mask path), sorted by name.

    Raises:
        FileNotFoundError: If a folder is missing or has no image.
        ValueError: If a file has no partner, or two files of a folder have one name.
    """
    for folder, files in ((Path(images_dir), image_files), (Path(masks_dir), mask_files)):
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}; make it, or correct the path.")
        if not files(folder):
            others = " ".join(["", *left_out(folder)])
            raise FileNotFoundError(
                f"the folder {folder} holds no {SUFFIXES_IN_WORDS} file; put the pictures there.{others}"
            )
    pairs, problems = match_pairs(Path(images_dir), Path(masks_dir))
    if problems:
        raise ValueError(problems[0])
    return pairs


def match_pairs(images_dir: Path, masks_dir: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pair what can be paired of two folders, and say what cannot, each with the remedy."""
    problems = []
    by_stem: list[dict[str, Path]] = []
    for folder, found in ((images_dir, image_files(images_dir)), (masks_dir, mask_files(masks_dir))):
        files: dict[str, Path] = {}
        for path in found:
            # macOS spells accents otherwise than keyboards do: both spellings look the same, and are.
            first = files.setdefault(normalize("NFC", path.stem), path)
            if first != path:
                both = quote([first.name, path.name])
                problems.append(f"{both} in {folder} differ only in the suffix; keep one of them.")
        by_stem.append(files)
    images, masks = by_stem
    for stem in sorted(masks.keys() - images.keys()):
        name = without_ending(stem)
        if name not in images:
            continue
        mask = masks.pop(stem)
        first = masks.setdefault(name, mask)
        if first != mask:
            problems.append(
                f"{quote([first.stem, mask.stem])} of {masks_dir} are both masks of {images[name].name!r}; "
                "keep one of them."
            )
    for here, there, kind, folder, other_folder in (
        (images, masks, "mask", images_dir, masks_dir),
        (masks, images, "image", masks_dir, images_dir),
    ):
        if lonely := sorted(here.keys() - there.keys()):
            problems.append(
                f"{quote(lonely)} of {folder} {'has' if len(lonely) == 1 else 'have'} no {kind} in "
                f"{other_folder}; add the {kind}s or remove these files."
            )
    return [(images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())], problems


def mask_files(folder: Path) -> list[Path]:
    """List the files of a folder that are masks: its pictures, or if there are none, its arrays of NumPy."""
    return image_files(folder) or [path for path in visible(folder) if path.suffix.lower() == ARRAY]


def masks_left_out(folder: Path) -> list[str]:
    """Name what looks like masks in a folder and is not taken; see `left_out`."""
    return left_out(folder, () if image_files(folder) else (ARRAY,))


def without_ending(stem: str) -> str:
    """Return the name of the picture that a mask may belong to: without `_mask`, `.jpg` and the like."""
    if (
        name := Path(stem)
    ).suffix.lower() in SUFFIXES:  # of `a.jpg.png`, as some tools name the mask of `a.jpg`
        return name.stem
    ending = next((end for end in _MASK_ENDINGS if stem.lower().endswith(end)), "")
    return stem[: len(stem) - len(ending)]


def masks_beside(folder: Path) -> list[Path]:
    """List the masks that lie in one folder with their pictures, such as `x_mask.png` beside `x.jpg`."""
    files = image_files(folder)
    stems = {path.stem for path in files}
    return [path for path in files if (name := without_ending(path.stem)) != path.stem and name in stems]
