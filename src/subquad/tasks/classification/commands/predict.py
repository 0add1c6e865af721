"""`subquad predict` of a classifier: a class for a picture, or for each picture of a folder."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subquad.base.files import check_writable, write_whole
from subquad.base.limits import PICTURE_PIXELS
from subquad.data.class_images.folder import grey
from subquad.data.decoding import TooManyPixelsError
from subquad.data.loading import in_batches
from subquad.data.picture_files import SUFFIXES_IN_WORDS, image_files, left_out
from subquad.data.pictures import read_image
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.engine.preprocess import preprocess
from subquad.engine.progress import note
from subquad.models import ClassifierConfig
from subquad.tasks.classification.data.transforms import EvalTransform

MOST_TOLD = 20  # problems


def add_options(p: Parser) -> None:
    """Add which pictures, and what is written of them."""
    p.add_argument("images", type=str, help="A picture, or a folder of pictures.")
    p.add_argument(
        "--output",
        type=str,
        default="predictions.csv",
        help="Table to write, a row for each picture: its path, the class, and the probabilities of all "
        "classes.",
    )
    p.add_argument("--batch_size", type=int, default=64, help="Pictures at a time.")
    p.add_argument("--max_pixels", type=int, default=PICTURE_PIXELS, help="Refuse pictures of more.")


def predict(network: Any, options: Any) -> str:
    """Write the table; returns what was written."""
    target, source = Path(options.output), Path(options.images)
    check_writable(target)
    images = find_images(source)
    check_outputs([target], [*images, checkpoint_path(options.checkpoint)], overwrite=options.overwrite)
    if options.batch_size < 1:
        raise ValueError(f"--batch_size must be at least 1, got {options.batch_size}.")
    config: ClassifierConfig = network.config
    transform = EvalTransform(config.image_size, config.crop_ratio, config.interpolation)
    problems: list[str] = []
    read: list[Path] = []
    shares: list[Tensor] = []
    for paths in in_batches(images, options.batch_size):
        batch: list[Tensor] = []
        for path in paths:
            note(f"picture {len(read) + len(problems) + 1:,} of {len(images):,}")
            try:
                batch.append(transform(picture_for(config, path, options.max_pixels)))
                read.append(path)
            except (OSError, ValueError) as error:
                problems.append(str(error))
        if batch:
            shares.append(probabilities(network, torch.stack(batch)))
    if read:
        write_whole(target, as_table(read, torch.cat(shares), config).encode(errors="surrogateescape"))
    if problems:
        done = f"the other {len(read)} are in {target}" if read else "nothing is written"
        more = len(problems) - MOST_TOLD
        told = "; ".join(problem.rstrip(".") for problem in problems[:MOST_TOLD])
        told += f"; and {more} more" if more > 0 else ""
        raise ValueError(f"{told}; {done}.")
    return f"wrote {len(read)} predictions to {target}"


def find_images(source: Path) -> list[Path]:
    """Return the picture, or those of a folder; say on stderr what of it is left out.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no picture or folder {source}; correct the path.")
    if not source.is_dir():
        return [source]
    found = image_files(source)
    remarks = left_out(source)
    if not found:
        why = remarks[0] if remarks else f"give one that does, with names in {SUFFIXES_IN_WORDS}."
        raise FileNotFoundError(f"{source} holds no picture; {why}")
    sys.stderr.write("".join(f"note: {remark}\n" for remark in remarks))
    return found


def picture_for(config: ClassifierConfig, path: Path, max_pixels: int = PICTURE_PIXELS) -> Tensor:
    """Read a picture with the channels that a network takes, uint8 (channels, H, W).

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it cannot be used, or the network takes neither grey nor colours.
    """
    try:
        image = read_image(path, max_pixels)
    except TooManyPixelsError as error:
        raise ValueError(
            f"{error.what}; if it is meant and the memory is there, raise the limit: --max_pixels "
            f"{error.pixels}."
        ) from error
    if config.in_channels == 1:
        return grey(image).round().byte()
    if config.in_channels != 3:
        raise ValueError(f"the network takes {config.in_channels} channels, and pictures have 1 or 3.")
    return image


@torch.no_grad()
def probabilities(network: Any, images: Tensor) -> Tensor:
    """Return the probabilities of all classes, float64 (batch, num_classes).

    Args:
        network: A classifier in evaluation mode.
        images: uint8 (batch, channels, size, size).
    """
    device = next(network.parameters()).device
    return network(preprocess(images.to(device), network.config)).double().softmax(dim=1).cpu()


def as_table(paths: list[Path], shares: Tensor, config: ClassifierConfig) -> str:
    """Return a CSV with a row for each picture."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = config.class_names or tuple(map(str, range(config.num_classes)))
    writer.writerow(["path", "prediction", *(f"p({name})" for name in names)])
    for path, row in zip(paths, shares, strict=True):
        writer.writerow([str(path), names[int(row.argmax())], *(f"{share:.6f}" for share in row.tolist())])
    return text.getvalue()
