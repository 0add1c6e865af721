"""`subquad bench models`: our networks beside those that people use for the same work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subquad.engine.parsing import Parser

if TYPE_CHECKING:
    from subquad.bench import Result
    from subquad.bench.timing import Tell

DESCRIPTION = (
    "Time images to class maps, with random weights and nothing downloaded: our networks beside those of "
    "torchvision, segmentation_models_pytorch and transformers (the extra [bench])."
)


def add_options(p: Parser) -> None:
    """Add the options of this measurement."""
    p.add_argument("--size", type=int, default=512, help="Sides of the images, a multiple of 32.")
    p.add_argument("--batch", type=int, default=1, help="Images at a time.")
    p.add_argument("--classes", type=int, default=150, help="Of the class maps.")
    p.add_argument(
        "--repeats", type=int, default=10, help="Rounds; each runs every network once in each form."
    )
    p.add_argument(
        "--only", type=str, nargs="+", default=[], help="These alone, such as 'light_ham*' SegFormer-B0."
    )


def measure(options: Any, tell: Tell) -> Result:
    """Measure the networks that are wanted."""
    from subquad.bench import bench_models

    return bench_models(
        size=options.size,
        batch=options.batch,
        classes=options.classes,
        repeats=options.repeats,
        only=options.only,
        device=options.device,
        tell=tell,
    )
