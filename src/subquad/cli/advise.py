"""`subquad advise`: which mixer to take for feature maps or sequences, measured on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.options import add_device, add_json, add_optional
from subquad.engine.outputs import check_scores
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing, note

if TYPE_CHECKING:
    from subquad.bench import Advice

WRITES = "subquad advise"
DIM, BATCH = 64, 1  # of sequences, unless they are given


def parser() -> Parser:
    """Return the options of `subquad advise`."""
    p = Parser(
        prog="subquad advise",
        description="Measure what could mix the positions of a feature map (--shape) or of a sequence "
        "(--length) here, attention included, and say which to take. Medians, with the 20 % and 80 % "
        "quantiles in brackets.",
    )
    add_optional(p, "shape", str, "Of a feature map: B,C,H,W such as 1,512,128,128.")
    add_optional(p, "length", int, "Of a sequence, instead: its positions.")
    add_optional(p, "dim", int, f"Channels of a sequence; {DIM} if not given.")
    add_optional(p, "batch", int, f"Sequences; {BATCH} if not given.")
    p.add_argument("--training", action="store_true", help="Time forward and backward; else inference.")
    p.add_argument("--seconds", type=float, default=20.0, help="To spend on it, about.")
    add_device(p)
    add_json(p, "the numbers")
    return p


def main(arguments: list[str]) -> None:
    """Measure, print the table and the advice, write the file."""
    from subquad.cli.bench import print_result, write_numbers

    options = parser().parse_args(arguments)
    shape = _checked_shape(options)
    check_scores(options.json, WRITES)
    with doing("measuring mixers"):
        result = _measure(options, shape)
    print_result(result)
    write_numbers(options.json, WRITES, f"subquad advise {' '.join(arguments)}", result)


def _checked_shape(options: Any) -> tuple[int, ...] | None:
    """Return the shape of feature maps, None for sequences; raise ValueError for neither and for both."""
    if (options.shape is None) == (options.length is None):
        got = "neither" if options.shape is None else f"--shape {options.shape} and --length {options.length}"
        raise ValueError(f"give --shape B,C,H,W of a feature map, or --length N of a sequence, got {got}.")
    if options.shape is None:
        return None
    if options.dim is not None or options.batch is not None:
        raise ValueError("--dim and --batch are of a sequence; the --shape of a feature map holds both.")
    parts = options.shape.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(
            f"--shape must be B,C,H,W: four whole numbers such as 1,512,128,128, each at least 1, got "
            f"{options.shape!r}."
        )
    return tuple(map(int, parts))


def _measure(options: Any, shape: tuple[int, ...] | None) -> Advice:
    from subquad.bench import advise_maps, advise_sequences

    if shape is not None:
        return advise_maps(
            shape, training=options.training, seconds=options.seconds, device=options.device, tell=note
        )
    return advise_sequences(
        options.length,
        dim=DIM if options.dim is None else options.dim,
        batch=BATCH if options.batch is None else options.batch,
        training=options.training,
        seconds=options.seconds,
        device=options.device,
        tell=note,
    )
