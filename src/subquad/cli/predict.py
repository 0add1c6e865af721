"""`subquad predict`: segment a picture or a folder of pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subquad.cli.options import checkpoint_path
from subquad.cli.parsing import Parser

SUFFIXES = (".jpg", ".jpeg", ".png")


def parser() -> Parser:
    """Return the options of `subquad predict`."""
    p = Parser(
        prog="subquad predict",
        description="Segment images. Writes NAME.png (class indices, with the palette) and "
        "NAME_overlay.jpg for each.",
    )
    p.add_argument("checkpoint", type=str, help="A .safetensors file, or a folder that `fit` wrote.")
    p.add_argument("images", type=str, help="A picture, or a folder of pictures.")
    p.add_argument("--output", type=str, default="predictions", help="Folder to write to.")
    p.add_argument("--overwrite", action="store_true", help="Replace files that are there.")
    p.add_argument("--opacity", type=float, default=0.5, help="Of the colours in the overlay, 0 to 1.")
    p.add_argument("--device", type=str, default="cpu", help="Such as cpu or cuda.")
    return p


def main(arguments: list[str]) -> None:
    """Parse, predict, write."""
    from subquad.data import LabelSet, read_image
    from subquad.evaluation import predict_labels
    from subquad.models import load_model

    options = parser().parse_args(arguments)
    if not 0 <= options.opacity <= 1:
        raise ValueError(f"--opacity must be 0 to 1, got {options.opacity}.")
    model: Any = load_model(checkpoint_path(options.checkpoint))
    try:
        model = model.to(options.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {options.device} cannot be used here: {reason}") from error
    palette = model.config.palette or LabelSet.generic(model.config.num_classes).palette
    images, folder = find_images(Path(options.images)), Path(options.output)
    targets = [(folder / f"{i.stem}.png", folder / f"{i.stem}_overlay.jpg") for i in images]
    taken = {image.resolve() for image in images} & {path.resolve() for pair in targets for path in pair}
    if taken:
        raise ValueError(f"{min(taken)} would be replaced by its own mask; choose another --output.")
    if not options.overwrite:
        refuse_existing([path for pair in targets for path in pair])
    for source, (mask, overlay) in zip(images, targets, strict=True):
        image = read_image(source)
        labels = predict_labels(model, image.unsqueeze(0))[0].cpu()
        write_mask(labels, palette, mask)
        write_overlay(image, labels, palette, options.opacity, overlay)
    sys.stdout.write(f"wrote {len(images)} masks and overlays to {folder}\n")


def find_images(path: Path) -> list[Path]:
    """Return the pictures that a path means, in order.

    Raises:
        FileNotFoundError: If there is nothing at the path, or no picture in the folder.
        ValueError: If two pictures would give files of one name.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"there is no picture or folder {path}.")
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"there are no pictures ({', '.join(SUFFIXES)}) in {path}.")
    stems = [p.stem for p in found]
    twice = sorted({s for s in stems if stems.count(s) > 1})
    if twice:
        raise ValueError(f"{path} holds several pictures called {twice[0]!r}; rename or separate them.")
    return found


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raise ValueError if one of the files is there."""
    existing = [path for path in paths if path.exists()]
    if existing:
        raise ValueError(
            f"{existing[0]} is there already ({len(existing)} of {len(paths)} files are); give "
            f"--overwrite, or another --output."
        )


def write_mask(labels: Any, palette: Sequence[tuple[int, int, int]], path: Path) -> None:
    """Write class indices as a picture with a palette."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels.numpy().astype("uint8"), mode=None)
    picture.putpalette([level for color in palette for level in color])
    picture.save(path)


def write_overlay(
    image: Any, labels: Any, palette: Sequence[tuple[int, int, int]], opacity: float, path: Path
) -> None:
    """Write the picture with the classes' colours laid over it."""
    from PIL import Image

    from subquad.data import index_to_color

    colors = index_to_color(labels.numpy(), palette)
    mixed = (1 - opacity) * image.movedim(0, -1).numpy() + opacity * colors
    Image.fromarray(mixed.round().astype("uint8")).save(path, quality=92)
