"""`subquad predict` of a segmentation network: a picture, a folder of pictures, or a video."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from subquad.base.files import write_whole
from subquad.base.limits import PICTURE_PIXELS, UNTILED_PIXELS
from subquad.data.decoding import TooManyPixelsError
from subquad.data.picture_files import SUFFIXES, image_files, left_out
from subquad.data.pictures import read_image
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.options import add_optional
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.engine.progress import note
from subquad.models import SegmentationConfig
from subquad.tasks.segmentation.commands.predict_video import add_video_options, is_video, predict_video
from subquad.tasks.segmentation.data.colors import voc_palette
from subquad.tasks.segmentation.drawing import encoded, mask_picture, overlay_picture, palette_of
from subquad.tasks.segmentation.labels import predict_labels
from subquad.tasks.segmentation.protocol import EvaluationProtocol, protocol_for
from subquad.tasks.segmentation.protocol_options import resolve_protocol
from subquad.tasks.segmentation.submission import VOC_ARCHIVE, VOC_FOLDER, check_voc, pack
from subquad.tasks.segmentation.tiles import can_share_dictionary, predict_tiles
from subquad.tasks.segmentation.tiling import AUTOMATIC, WHOLE_PIXELS, Tiling, box_remark

MUCH = 0.05  # of the pixels at seams, in which tiles disagree
JPEG_SIDE = 65_500  # pixels: the most that a JPEG file holds


def add_options(p: Parser) -> None:
    """Add which pictures, and what is written of them."""
    p.add_argument("images", type=str, help="A picture, a folder of pictures, or a video.")
    p.add_argument(
        "--output",
        type=str,
        default="predictions",
        help="Folder to write to: NAME.png (class indices, with the palette) and NAME_overlay.jpg of each.",
    )
    p.add_argument("--opacity", type=float, default=0.5, help="Of the colours in the overlay, 0 to 1.")
    p.add_argument(
        "--submission",
        type=Literal["voc"] | None,  # pyright: ignore[reportArgumentType]
        default=None,
        help="Write masks in the folders of the PASCAL VOC server and pack them in results.tar; no overlays.",
    )
    for name, kind, help in (
        ("list", str, "File of names without suffix, one a line: only these pictures of the folder."),
        (
            "tile",
            int,
            "Side of the tiles of large images, such as 1024, or 0 for each image at once; if not given, 416 "
            "for images of more than 2 million pixels.",
        ),
        ("overlap", float, "Share of a tile blended with the next; 0.25 if not given."),
        (
            "max_pixels",
            int,
            "Refuse pictures of more; if not given, 268 million in tiles and 33 million at once.",
        ),
    ):
        add_optional(p, name, kind, help)
    p.add_argument(
        "--share_dictionary",
        action="store_true",
        help="Compute one dictionary for the whole image, for all its tiles.",
    )
    p.add_argument(
        "--fast",
        action="store_true",
        help="Compute in bfloat16, if the first picture shows that it is faster and gives the same classes.",
    )
    add_video_options(p)
    p.checks.append(_check)


def _check(options: Any) -> None:
    """Raise ValueError for options that nothing can be made with, before anything is read."""
    folder = Path(options.output)
    first = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not first.is_dir():
        raise ValueError(f"--output {folder} is to be a folder, but {first} is a file; give another name.")
    if not 0 <= options.opacity <= 1:
        raise ValueError(f"--opacity must be 0 to 1, got {options.opacity}.")
    if not options.tile and options.share_dictionary:
        raise ValueError("--share_dictionary is of tiles; give --tile too, such as --tile 1024.")
    if not options.tile and options.overlap is not None:
        raise ValueError("--overlap is of tiles; give --tile too, such as --tile 1024.")
    if options.tile and resolve_protocol(options.protocol) != EvaluationProtocol():
        raise ValueError("--tile shows the image as it is, once; leave --protocol out.")


def predict(model: Any, options: Any) -> str:
    """Write masks and overlays, or a video of them; returns what was written."""
    if is_video(options.images):
        return predict_video(model, options)
    read, label = _predictor(options, model.config)
    images, folder = find_images(Path(options.images)), Path(options.output)
    remarks = left_out(Path(options.images)) if Path(options.images).is_dir() else []
    sys.stderr.write("".join(f"note: {remark}\n" for remark in remarks))
    if options.list is not None:
        images = listed(images, Path(options.list), options.images)
    masks, overlays, palette = _targets(images, folder, model.config, options.submission)
    packed = [folder / VOC_ARCHIVE] if options.submission else []
    read_files = [*images, checkpoint_path(options.checkpoint), *([options.list] if options.list else [])]
    check_outputs([*masks, *overlays, *packed], read_files, overwrite=options.overwrite)
    unread: list[str] = []
    is_plain = resolve_protocol(options.protocol) == EvaluationProtocol()
    note_once = box_remark(model.config.resize, is_cut=bool(options.tile)) if is_plain else ""
    for index, source in enumerate(images):
        note(f"picture {index + 1:,} of {len(images):,}")
        try:
            image = read(source)
        except (OSError, ValueError) as error:
            unread.append(str(error))
            continue
        sys.stderr.write(note_once)
        note_once = ""
        labels, remark = label(model, image)
        _write(masks[index], encoded(mask_picture(labels, palette), "PNG"))
        if overlays and max(labels.shape) > JPEG_SIDE:
            remark += f"{remark and '; '}no overlay, as JPEG ends at {JPEG_SIDE:,} pixels a side"
        elif overlays:
            overlay = overlay_picture(image, labels, palette, options.opacity)
            _write(overlays[index], encoded(overlay, "JPEG", quality=92))
        if remark:
            sys.stdout.write(f"{source.name}: {remark}\n")
    if unread:
        rest = len(images) - len(unread)
        done = f"; wrote the masks of the other {rest} picture{'s' * (rest > 1)} to {folder}"
        no_archive = f" and no {VOC_ARCHIVE}" if options.submission else ""
        raise ValueError(
            "; ".join(said.rstrip(".") for said in unread)
            + (done + no_archive if len(unread) < len(images) else "")
            + "."
        )
    if options.submission:
        return f"wrote {len(images)} masks, packed in {pack(folder, masks)}"
    count = "a mask and an overlay" if len(images) == 1 else f"{len(images)} masks and overlays"
    return f"wrote {count} to {folder}"


def _targets(
    images: Sequence[Path], folder: Path, config: SegmentationConfig, submission: str | None
) -> tuple[list[Path], list[Path], Sequence[tuple[int, int, int]]]:
    """Return the files of masks and of overlays, and the colours of the classes."""
    if submission:
        check_voc(config.num_classes)
        return [folder / VOC_FOLDER / f"{i.stem}.png" for i in images], [], voc_palette()
    palette = palette_of(config)
    masks = [folder / f"{i.stem}.png" for i in images]
    return masks, [folder / f"{i.stem}_overlay.jpg" for i in images], palette


def _predictor(
    options: Any, config: SegmentationConfig
) -> tuple[Callable[[Path], Any], Callable[[Any, Any], tuple[Any, str]]]:
    """Return what reads a picture, and what maps network and picture to labels and a remark on seams."""
    protocol = protocol_for(config, resolve_protocol(options.protocol))
    is_plain = protocol == EvaluationProtocol()  # else the network sees another picture than the file's
    at_once = options.tile == 0 or not (options.tile or is_plain)
    usual = UNTILED_PIXELS if at_once else PICTURE_PIXELS
    most = usual if options.max_pixels is None else options.max_pixels

    def read(path: Path) -> Any:
        try:
            return read_image(path, most, config.in_channels)
        except TooManyPixelsError as error:
            tiles = "give --tile, such as --tile 1024, or " if at_once and is_plain else ""
            raise ValueError(
                f"{error.what}; {tiles}raise the limit, if the memory is there: --max_pixels {error.pixels}."
            ) from error

    tiling = _tiling(options)

    def label(model: Any, image: Any) -> tuple[Any, str]:
        if at_once or (options.tile is None and image[0].numel() <= WHOLE_PIXELS):
            return predict_labels(model, image.unsqueeze(0), protocol)[0].cpu(), ""
        result = predict_tiles(model, image, tiling)
        remark = f"{result.tiles} tile{'s' if result.tiles > 1 else ''}"
        if result.seam_pixels:
            remark += (
                f"; at the seams, neighbouring tiles differ by {result.seam_distance:.4f} (mean total "
                f"variation distance) and disagree in {100 * result.seam_disagreement:.2f} % of pixels"
            )
        if result.seam_disagreement > MUCH:
            remark += _remedy(model, tiling)
        return result.labels, remark

    return read, label


def _remedy(model: Any, tiling: Tiling) -> str:
    """Return what would lower the disagreement at seams."""
    larger = Tiling.tile if tiling.tile < Tiling.tile else 2 * tiling.tile
    found = [f"larger tiles (--tile {larger})"]
    if not tiling.share_dictionary and can_share_dictionary(model):
        found.append(f"one dictionary for all (--tile {max(Tiling.tile, tiling.tile)} --share_dictionary)")
    return f"; {' or '.join(found)} may lower that"


def _tiling(options: Any) -> Tiling:
    if not options.tile:
        return AUTOMATIC
    overlap = Tiling.overlap if options.overlap is None else options.overlap
    return Tiling(tile=options.tile, overlap=overlap, share_dictionary=options.share_dictionary)


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
    if not (found := image_files(path)):
        others = " ".join(["", *left_out(path)])
        raise FileNotFoundError(f"there are no pictures ({', '.join(SUFFIXES)}) in {path}.{others}")
    stems = [p.stem for p in found]
    twice = sorted({s for s in stems if stems.count(s) > 1})
    if twice:
        raise ValueError(f"{path} holds several pictures called {twice[0]!r}; rename or separate them.")
    return found


def _write(path: Path, content: bytes) -> None:
    """Write a picture whole or not at all.

    Raises:
        OSError: If it cannot be written; names the file.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written ({error.strerror}); what was written before it is whole. Make room "
            "or give another --output, and start again with --overwrite."
        ) from error
