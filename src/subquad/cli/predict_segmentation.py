"""`subquad predict` of a segmentation network: a picture or a folder of pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from subquad.cli.checkpoints import checkpoint_path, move
from subquad.cli.outputs import check_outputs
from subquad.cli.parsing import Parser
from subquad.cli.protocols import ProtocolOptions, resolve_protocol, spelled_out
from subquad.cli.refusals import require_segmentation
from subquad.cli.submission import VOC_ARCHIVE, VOC_FOLDER, check_voc, pack

SUFFIXES = (".jpg", ".jpeg", ".png")
STRIP = 512  # rows of an overlay that are mixed at once


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
    p.add_argument(
        "--list",
        type=str | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="File of names without suffix, one a line: only these pictures of the folder.",
    )
    p.add_argument(
        "--submission",
        type=Literal["voc"] | None,  # pyright: ignore[reportArgumentType]
        default=None,
        help="Write masks in the folders of the PASCAL VOC server and pack them in results.tar; no overlays.",
    )
    p.add_argument(
        "--tile",
        type=int | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="Side of the tiles of large images, such as 1024; not given: each image at once.",
    )
    p.add_argument(
        "--overlap",
        type=float | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="Share of a tile blended with the next; 0.25 if not given.",
    )
    p.add_argument(
        "--share-dictionary",
        action="store_true",
        help="Compute one dictionary for the whole image, for all its tiles.",
    )
    p.add_class_arguments(ProtocolOptions, "protocol")
    return p


def main(arguments: list[str]) -> None:
    """Parse, predict, write."""
    from subquad.data import LabelSet, voc_palette
    from subquad.models import load_model

    p = parser()
    options = p.parse_args(spelled_out(arguments))
    if not 0 <= options.opacity <= 1:
        raise ValueError(f"--opacity must be 0 to 1, got {options.opacity}.")
    read, predict = _predictor(options, resolve_protocol(p.instantiate(options).protocol))
    model: Any = load_model(checkpoint_path(options.checkpoint))
    require_segmentation(model.config, options.checkpoint)
    model = move(model, options.device)
    images, folder = find_images(Path(options.images)), Path(options.output)
    if options.list is not None:
        images = listed(images, Path(options.list), options.images)
    if options.submission:
        check_voc(model.config.num_classes)
        palette = voc_palette()
        masks, overlays = [folder / VOC_FOLDER / f"{i.stem}.png" for i in images], []
        targets = [*masks, folder / VOC_ARCHIVE]
    else:
        palette = model.config.palette or LabelSet.generic(model.config.num_classes).palette
        masks = [folder / f"{i.stem}.png" for i in images]
        overlays = [folder / f"{i.stem}_overlay.jpg" for i in images]
        targets = [*masks, *overlays]
    read_files = [*images, checkpoint_path(options.checkpoint), *([options.list] if options.list else [])]
    check_outputs(targets, read_files, overwrite=options.overwrite)
    unread: list[str] = []
    for index, source in enumerate(images):
        try:
            image = read(source)
        except (OSError, ValueError) as error:
            unread.append(str(error))
            continue
        labels, remark = predict(model, image)
        write_mask(labels, palette, masks[index])
        if overlays:
            write_overlay(image, labels, palette, options.opacity, overlays[index])
        if remark:
            sys.stdout.write(f"{source.name}: {remark}\n")
    if unread:
        done = f"; wrote the masks of the other {len(images) - len(unread)} pictures to {folder}"
        packed = f" and no {VOC_ARCHIVE}" if options.submission else ""
        raise ValueError("; ".join(unread) + (done + packed if len(unread) < len(images) else ""))
    if options.submission:
        sys.stdout.write(f"wrote {len(images)} masks, packed in {pack(folder, masks)}\n")
    else:
        sys.stdout.write(f"wrote {len(images)} masks and overlays to {folder}\n")


def _predictor(
    options: Any, protocol: Any
) -> tuple[Callable[[Path], Any], Callable[[Any, Any], tuple[Any, str]]]:
    """Return what reads a picture, and what maps network and picture to labels and a remark on seams."""
    from subquad.data import read_image
    from subquad.evaluation import Protocol, Tiling, predict_labels, predict_tiles

    if options.tile is None:
        if options.share_dictionary:
            raise ValueError("--share-dictionary is of tiles; give --tile too, such as --tile 1024.")

        if options.overlap is not None:
            raise ValueError("--overlap is of tiles; give --tile too, such as --tile 1024.")

        def at_once(model: Any, image: Any) -> tuple[Any, str]:
            return predict_labels(model, image.unsqueeze(0), protocol)[0].cpu(), ""

        return read_image, at_once
    if protocol != Protocol():
        raise ValueError("--tile shows the image as it is, once; leave --protocol out.")
    overlap = Tiling.overlap if options.overlap is None else options.overlap
    tiling = Tiling(tile=options.tile, overlap=overlap, share_dictionary=options.share_dictionary)

    def read_large(path: Path) -> Any:
        with _pictures_of_any_size():
            return read_image(path)

    def in_tiles(model: Any, image: Any) -> tuple[Any, str]:
        result = predict_tiles(model, image, tiling)
        remark = f"{result.tiles} tile{'s' if result.tiles > 1 else ''}"
        if result.seam_pixels:
            remark += (
                f"; at the seams, neighbouring tiles differ by {result.seam_distance:.4f} (mean total "
                f"variation distance) and disagree in {100 * result.seam_disagreement:.2f} % of pixels"
            )
        return result.labels, remark

    return read_large, in_tiles


@contextmanager
def _pictures_of_any_size() -> Iterator[None]:
    """Lift PIL's limit, which guards against pictures that nobody expects to be large."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def listed(images: Sequence[Path], names: Path, folder: str) -> list[Path]:
    """Return the pictures that a file lists, in its order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is empty or lists a picture that is not there.
    """
    if not names.is_file():
        raise FileNotFoundError(f"there is no file {names}; correct --list.")
    wanted = list(dict.fromkeys(line.strip() for line in names.read_text().splitlines() if line.strip()))
    by_stem = {image.stem: image for image in images}
    missing = [name for name in wanted if name not in by_stem]
    if missing:
        raise ValueError(
            f"{names} lists {missing[0]!r}, but {folder} holds no such picture ({len(missing)} of "
            f"{len(wanted)} are missing)."
        )
    if not wanted:
        raise ValueError(f"{names} lists no picture; give one name without suffix a line.")
    return [by_stem[name] for name in wanted]


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

    mixed = image.movedim(0, -1).numpy().copy()
    for top in range(0, len(mixed), STRIP):  # floats of a whole large picture would not fit
        strip = mixed[top : top + STRIP]
        colors = index_to_color(labels[top : top + STRIP].numpy(), palette)
        strip[:] = ((1 - opacity) * strip + opacity * colors).round()
    Image.fromarray(mixed).save(path, quality=92)
