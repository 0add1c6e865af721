"""Which files are pictures, and which mask belongs to which."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

from subquad.base.hidden import visible
from subquad.base.suggest import and_more
from subquad.data.decoding import FORMATS, head_of, looks_like

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Names of files that are taken for pictures, in any case; the content tells what they are."""

MASK_FOLDERS = ("labels", "masks", "annotations")

SUFFIXES_IN_WORDS = "png, jpg, jpeg, bmp, tif or tiff"

# Pictures of a kind that is not read, and that their first bytes may not tell.
_OTHER_SUFFIXES = frozenset({".dcm", ".nii", ".npy", ".npz", ".raw", ".svg", ".tga", ".ppm", ".pgm", ".pbm"})
# Never pictures, and often as many as these: they are not looked into.
_TEXTS = frozenset({".txt", ".json", ".xml", ".csv", ".yaml", ".yml", ".md"})
# What tools put behind the name of the picture.
_MASK_ENDINGS = ("_mask", "-mask", "_masks", "_label", "-label", "_labels", "_seg", "-seg", "_gt", "-gt")


def paired(images_dir: str | Path, masks_dir: str | Path) -> list[tuple[Path, Path]]:
    """Find the mask of each image: the file of the same name, without regard to the suffix.

    A mask may also have `_mask`, `_label`, `_seg` or `_gt` behind the name of the image, or the suffix of
    the image before its own.

    Args:
        images_dir: Folder of the images (png, jpg, bmp, tif in small or capital letters).
        masks_dir: Folder of the masks.

    Returns:
        Pairs (image path, mask path), sorted by name.

    Raises:
        FileNotFoundError: If a folder is missing or has no image.
        ValueError: If a file has no partner, or two files of a folder have one name.
    """
    for folder in (Path(images_dir), Path(masks_dir)):
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}; make it, or correct the path.")
        if not image_files(folder):
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
    for folder in (images_dir, masks_dir):
        files: dict[str, Path] = {}
        for path in image_files(folder):
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


def image_files(folder: Path) -> list[Path]:
    """List the files of a folder whose names are those of pictures, sorted, without hidden ones."""
    return [path for path in visible(folder) if path.suffix.lower() in SUFFIXES]


def left_out(folder: Path) -> list[str]:
    """Name what looks like pictures in a folder and is not taken, in one sentence a kind.

    Args:
        folder: Of pictures or masks.
    """
    others, nested = [], []
    for path in visible(folder):
        suffix = path.suffix.lower()
        if suffix in SUFFIXES or suffix in _TEXTS:
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


def quote(names: list[str], most: int = 3) -> str:
    """Quote up to `most` names and count the others: `'a', 'b', 'c' and 4 more`."""
    return and_more([repr(name) for name in names], most)
