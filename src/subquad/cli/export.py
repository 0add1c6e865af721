"""`subquad export`: a network as a file for other runtimes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from subquad.engine.options import add_checkpoint, add_optional, add_overwrite
from subquad.engine.outputs import check_outputs
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing
from subquad.engine.tables import print_table

if TYPE_CHECKING:
    from subquad.export.report import ExportReport

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}


def parser() -> Parser:
    """Return the options of `subquad export`."""
    p = Parser(
        prog="subquad export",
        description="Write a network for onnxruntime or PyTorch. Nothing is written unless the file gives "
        "the network's answers at three sizes it was not made with; PATH.report.json tells the errors.",
    )
    add_checkpoint(p, ", or a name of `subquad models`")
    p.add_argument("--format", type=Literal["onnx", "torch"], default="onnx", help="Of the file.")
    add_optional(
        p, "output", str, "File to write; CHECKPOINT.onnx or CHECKPOINT.pt2 in this folder if not given."
    )
    p.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        default=None,
        help="Of the image that is traced, 192 256 if not given; whatever it is, the file takes any size, or "
        "a small one is refused.",
    )
    add_optional(p, "opset", int, "Version of ONNX's operators; PyTorch's default if not given.")
    p.add_argument(
        "--preprocess",
        action="store_true",
        help="Take uint8 images in 0..255 and normalise them inside; else they must come normalised.",
    )
    p.add_argument(
        "--answer",
        type=Literal["logits", "classes"],
        default="logits",
        help="What the file gives of each pixel: the logits of all classes, or the class alone, for which it "
        "never holds all logits of an image in memory.",
    )
    p.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        help="Largest allowed error of the logits; relative to the largest logit where that is above 1.",
    )
    add_overwrite(p)
    return p


def main(arguments: list[str]) -> None:
    """Parse, export, print the table of errors."""
    options = parser().parse_args(arguments)
    if options.size and min(options.size) < 1:
        raise ValueError(f"--size must be at least 1 1, got {' '.join(map(str, options.size))}.")
    if not options.tolerance > 0:
        raise ValueError(f"--tolerance must be positive, got {options.tolerance}.")
    if options.opset is not None and options.format == "torch":
        raise ValueError("--opset belongs to --format onnx.")
    path = Path(options.output or f"{Path(options.checkpoint).resolve().stem}{SUFFIXES[options.format]}")
    for other, suffix in SUFFIXES.items():
        if other != options.format and path.suffix == suffix:
            raise ValueError(
                f"--output {path} ends in {suffix}, but --format {options.format} writes "
                f"{SUFFIXES[options.format]}; change one of the two."
            )
    with doing(f"exporting {options.checkpoint}"):
        report, weights = export(options, path)
    print_table(f"{path}: the file against the network", report.columns, report.rows())
    if options.answer == "classes":
        sys.stdout.write(f"file and network agree in the classes of {100 * report.agreement:.3f} %\n")
    sys.stdout.write(f"weights: {weights}\n{report.takes}\n")
    sys.stdout.write(f"wrote {path} and {report.report_path}\n")


def export(options: Any, path: Path) -> tuple[ExportReport, str]:
    """Load or build the network, and write it; returns how it compares, and which weights it has."""
    from subquad.engine.checkpoints import checkpoint_path, is_checkpoint
    from subquad.export import export_onnx, export_torch
    from subquad.models import create_model, load_model

    name: str = options.checkpoint
    is_path = is_checkpoint(name)
    written = [path, path.with_name(f"{path.name}.report.json")]
    check_outputs(written, [checkpoint_path(name)] if is_path else [], overwrite=options.overwrite)
    network: Any = load_model(checkpoint_path(name)) if is_path else create_model(name)
    common = {
        "size": options.size and tuple(options.size),
        "preprocess": options.preprocess,
        "tolerance": options.tolerance,
        "answer": options.answer,
        "overwrite": options.overwrite,
    }
    if options.format == "onnx":
        report = export_onnx(network, path, opset=options.opset, **common)
    else:
        report = export_torch(network, path, **common)
    return report, name if is_path else "random: a name was given, not a checkpoint"
