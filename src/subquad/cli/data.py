"""`subquad data check`: look at a data set before training on it."""

from __future__ import annotations

import sys

from subquad.base.limits import PICTURE_PIXELS
from subquad.base.suggest import did_you_mean
from subquad.engine.parsing import Parser
from subquad.tasks.segmentation.data.published_sets import PUBLISHED
from subquad.tasks.sequences.commands import check as check_sequences
from subquad.tasks.sequences.commands.check import SEQUENCE_SETS, is_about_sequences

FORMATS = ("folder", *PUBLISHED)


def parser() -> Parser:
    """Return the options of `subquad data check`."""
    p = Parser(prog="subquad data check", description="Report what is in a data set, and what to mend.")
    p.add_argument("path", type=str, help="Folder with images and masks, or of a published data set.")
    p.add_argument(
        "--format",
        type=str,
        default="folder",
        help=f"One of {', '.join(FORMATS)}; of sequences {', '.join(SEQUENCE_SETS)}, whose options "
        "`subquad data check TABLE --help` lists.",
    )
    p.add_argument(
        "--classes",
        type=str | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help='File of class names ("folder" only); the folder\'s own if not given.',
    )
    p.add_argument(
        "--num_classes",
        type=int | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help='Instead of a file of class names ("folder" only).',
    )
    p.add_argument("--images", type=str, default="images", help='Folder of the images ("folder" only).')
    p.add_argument(
        "--masks",
        type=str | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help='Folder of the masks ("folder" only); labels, masks or annotations if not given.',
    )
    p.add_argument(
        "--max_pixels",
        type=int,
        default=PICTURE_PIXELS,
        help='Refuse pictures and masks of more ("folder" only).',
    )
    p.add_argument("--splits", type=str, nargs="+", default=["train", "val"], help="Of a published data set.")
    p.add_argument(
        "--samples", type=int, default=200, help="Pictures to read of each split of a published data set."
    )
    return p


def main(arguments: list[str]) -> None:
    """Print the report; a data set with problems is an error."""
    from subquad.tasks.segmentation.data.check import check_folder
    from subquad.tasks.segmentation.data.check_published import check_published
    from subquad.tasks.segmentation.data.layouts import published_at

    action, *rest = arguments or [""]
    if action in ("-h", "--help"):
        rest = ["--help"]
    elif action != "check":
        raise ValueError(
            f"`subquad data` knows `check PATH`, got {action!r}.{did_you_mean(action, ['check'])}"
        )
    if is_about_sequences(rest):
        check_sequences.main(rest)
        return
    options = parser().parse_args(rest)
    if options.format not in FORMATS:
        raise ValueError(
            f"unknown format {options.format!r}.{did_you_mean(options.format, [*FORMATS, *SEQUENCE_SETS])} "
            f"There are {', '.join([*FORMATS, *SEQUENCE_SETS])}."
        )
    hint = ""
    if options.format == "folder":
        published = published_at(options.path)
        hint = f" Its folders are those of {published}: give --format {published}." if published else ""
        try:
            report = check_folder(
                options.path,
                classes=options.classes,
                num_classes=options.num_classes,
                images=options.images,
                masks=options.masks,
                max_pixels=options.max_pixels,
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}{hint}") from error
    else:
        if options.classes is not None or options.num_classes is not None:
            raise ValueError(
                f"the classes of {options.format} are known; leave --classes and --num_classes out."
            )
        if (options.images, options.masks, options.max_pixels) != ("images", None, PICTURE_PIXELS):
            raise ValueError(
                f"the folders and sizes of {options.format} are known; leave --images, --masks and "
                "--max_pixels out."
            )
        report = check_published(options.format, options.path, options.splits, most=options.samples)
    sys.stdout.write(f"{report}\n")
    if not report.ok:
        raise ValueError(f"{options.path} has {len(report.problems)} problem(s), see above.{hint}")
