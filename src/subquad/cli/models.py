"""`subquad models`: the networks and what they cost."""

from __future__ import annotations

from subquad.engine.options import add_json, add_optional
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser

KEY = "models"  # in its files


def parser() -> Parser:
    """Return the options of `subquad models`."""
    p = Parser(prog="subquad models", description="List the networks.")
    p.add_argument("pattern", type=str, nargs="?", default="*", help='Such as "light_ham_*".')
    add_optional(
        p,
        "size",
        int,
        "Height and width of the image, or length of the sequence; what is usual for each if not given.",
    )
    add_json(p, "the same")
    return p


def main(arguments: list[str]) -> None:
    """Print name, parameters and multiply-adds of each network."""
    from subquad.engine.tables import print_table
    from subquad.models import list_models, model_config
    from subquad.models.cost import count_text, multiply_adds, parameters

    options = parser().parse_args(arguments)
    if options.size is not None and options.size < 1:
        raise ValueError(f"--size must be at least 1, got {options.size}.")
    check_scores(options.json, KEY)
    names = list_models(options.pattern)
    if not names:
        raise ValueError(f"no model matches {options.pattern!r}; `subquad models` lists them all.")
    sizes = {name: model_config(name).cost_size(options.size) for name in names}
    costs = [(name, parameters(name), multiply_adds(name, size), size) for name, size in sizes.items()]
    rows = [(name, f"{count:,}", count_text(cost), str(size)) for name, count, cost, size in costs]
    print_table(
        "multiply-adds of one square image, or of one sequence, in evaluation",
        ("model", "parameters", "multiply-adds", "size"),
        rows,
    )
    names = ("name", "parameters", "multiply_adds", "size")
    write_scores(options.json, {KEY: [dict(zip(names, cost, strict=True)) for cost in costs]})
