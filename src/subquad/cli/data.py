"""`subquad data check`: look at a data set before training on it."""

from __future__ import annotations

import sys

from subquad.cli.parsing import Parser
from subquad.models.suggest import did_you_mean


def main(arguments: list[str]) -> None:
    """Print the report; a data set with problems is an error."""
    from subquad.data import check_folder

    action, *rest = arguments or [""]
    if action in ("-h", "--help"):
        rest = ["--help"]
    elif action != "check":
        raise ValueError(
            f"`subquad data` knows `check PATH`, got {action!r}.{did_you_mean(action, ['check'])}"
        )
    p = Parser(prog="subquad data check", description="Report what is in a data set, and what to mend.")
    p.add_argument("path", type=str, help="Folder with images and masks.")
    p.add_argument(
        "--classes",
        type=str | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="File of class names; the folder's own if not given.",
    )
    p.add_argument(
        "--num_classes",
        type=int | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="Instead of a file of class names.",
    )
    options = p.parse_args(rest)
    report = check_folder(options.path, classes=options.classes, num_classes=options.num_classes)
    sys.stdout.write(f"{report}\n")
    if not report.ok:
        raise ValueError(f"{options.path} has {len(report.problems)} problem(s), see above.")
