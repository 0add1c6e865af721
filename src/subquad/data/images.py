"""Reading images and masks from files, and finding the pairs of them."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from subquad.data.colors import IGNORE_INDEX, color_to_index
from subquad.data.labels import LabelSet, SegmentationDataset

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")

_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    Image.DecompressionBombError,
)


def class_frequencies(dataset: SegmentationDataset, most: int | None = None) -> Tensor:
    """Count how often each class occurs; every sample that is counted is read once.

    Args:
        dataset: Any data set of this package.
        most: Count no more samples than this, evenly spread; None counts all.

    Returns:
        Share of each class in the labelled pixels, float64 (classes,), of sum 1.

    Raises:
        ValueError: If no pixel is labelled.
    """
    counts = torch.zeros(256, dtype=torch.int64)
    step = 1 if most is None else max(1, -(-len(dataset) // most))
    for index in range(0, len(dataset), step):
        counts += torch.bincount(dataset[index].labels.flatten(), minlength=256)
    counts = counts[: dataset.labels.num_classes]
    if not counts.any():
        raise ValueError("no pixel of the data set is labelled; run `subquad data check` on it.")
    return counts.double() / counts.sum()


def read_image(path: str | Path) -> Tensor:
    """Read a picture as RGB, turned upright if its EXIF data say so.

    Transparency is dropped, palettes are applied, and 16-bit grey is reduced to its upper 8 bits.

    Args:
        path: A file that PIL can read.

    Returns:
        The picture, uint8 (3, H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, corrupt, no picture, or holds floating point values.
    """
    image = _open(path, "image")
    if image.mode == "F":
        raise ValueError(f"image {path} holds floating point values; save it with 8 bits.")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(
                f"image {path} holds values from {grey.min()} to {grey.max()}; save it with 8 bits."
            )
        image = Image.fromarray((grey >> 8).astype(np.uint8))
    pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return pixels.permute(2, 0, 1).contiguous()


def read_mask(path: str | Path, labels: LabelSet) -> Tensor:
    """Read the class indices of a picture.

    Grey masks (1, 8 or 16 bits) hold the indices; of masks with a colour table the indices are
    taken, not the colours; RGB masks are translated with the palette of `labels`.

    Args:
        path: A file that PIL can read; its format must be lossless.
        labels: The classes that may occur.

    Returns:
        Class indices or `IGNORE_INDEX`, uint8 (H, W).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated or corrupt, or holds a value or colour of no class.
    """
    values = read_raw_mask(path)
    if values.ndim == 3:
        try:
            indices = color_to_index(values, labels.palette, labels.ignore_color)
        except ValueError as error:
            raise ValueError(f"mask {path}: {error}") from error
        return torch.from_numpy(indices)
    wrong = ((values < 0) | (values >= labels.num_classes)) & (values != IGNORE_INDEX)
    if wrong.any():
        raise ValueError(
            f"mask {path} holds value {int(values[wrong][0])}, but the classes are "
            f"0..{labels.num_classes - 1} ({IGNORE_INDEX} is ignored); fix the mask or add the "
            "class to classes.json."
        )
    return torch.from_numpy(values.astype(np.uint8))


def read_raw_mask(path: str | Path) -> NDArray[Any]:
    """Read the values of a mask as they are, without knowing the classes.

    Args:
        path: A file that PIL can read.

    Returns:
        Indices (H, W) of any integer type, or colours, uint8 (H, W, 3).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, corrupt, or of a kind that cannot hold classes.
    """
    mask = _open(path, "mask")
    if mask.mode in ("RGB", "RGBA", "RGBX"):
        return np.array(mask.convert("RGB"))
    if mask.mode == "1":
        return np.array(mask).astype(np.uint8)
    if mask.mode in ("LA", "PA"):
        return np.array(mask.getchannel(0))
    if mask.mode in ("L", "P") or mask.mode.startswith("I"):
        return np.array(mask)
    raise ValueError(
        f"mask {path} is of the kind {mask.mode!r}, which holds no classes; save the class "
        "indices as 8-bit grey PNG."
    )


def check_same_size(image: Tensor, image_path: Path, mask: Tensor | NDArray[Any], mask_path: Path) -> None:
    """Raise ValueError if image (3, H, W) and mask (H, W, ...) differ in height or width."""
    (height, width), (mask_height, mask_width) = image.shape[1:], mask.shape[:2]
    if (height, width) != (mask_height, mask_width):
        raise ValueError(
            f"image {image_path} is {height} x {width}, but mask {mask_path} is {mask_height} x "
            f"{mask_width} (height x width); make them equal."
        )


def paired(images_dir: str | Path, masks_dir: str | Path) -> list[tuple[Path, Path]]:
    """Find the mask of each image: the file of the same name, without regard to the suffix.

    Args:
        images_dir: Folder of the images (png, jpg, jpeg in small or capital letters).
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
            raise FileNotFoundError(
                f"the folder {folder} holds no png, jpg or jpeg file; put the pictures there."
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
            first = files.setdefault(path.stem, path)
            if first != path:
                both = quote([first.name, path.name])
                problems.append(f"{both} in {folder} differ only in the suffix; keep one of them.")
        by_stem.append(files)
    images, masks = by_stem
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
    """List the png, jpg and jpeg files of a folder, sorted."""
    # macOS leaves hidden "._name.png" files that are no pictures.
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def quote(names: list[str], most: int = 3) -> str:
    """Quote up to `most` names and count the others: `'a', 'b', 'c' and 4 more`."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _open(path: str | Path, kind: str) -> Image.Image:
    """Decode a file completely: PIL alone would notice a truncated file only later."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no {kind} {path}; correct the path.")
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except _DECODING_ERRORS as error:
        raise ValueError(f"{kind} {path} cannot be decoded ({error}); copy it again or remove it.") from error
