"""`subquad models`: the networks and what they cost."""

from __future__ import annotations

from subquad.engine.parsing import Parser


def main(arguments: list[str]) -> None:
    """Print name, parameters and multiply-adds of each network."""
    from subquad.engine.tables import print_table
    from subquad.models import list_models, model_config
    from subquad.models.cost import count_text, multiply_adds, parameters

    p = Parser(prog="subquad models", description="List the networks.")
    p.add_argument("pattern", type=str, nargs="?", default="*", help='Such as "light_ham_*".')
    p.add_argument(
        "--size",
        type=int | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="Height and width of the image, or length of the sequence; what is usual for each if not given.",
    )
    options = p.parse_args(arguments)
    if options.size is not None and options.size < 1:
        raise ValueError(f"--size must be at least 1, got {options.size}.")
    names = list_models(options.pattern)
    if not names:
        raise ValueError(f"no model matches {options.pattern!r}; `subquad models` lists them all.")
    sizes = {name: model_config(name).cost_size(options.size) for name in names}
    rows = [
        (name, f"{parameters(name):,}", count_text(multiply_adds(name, size)), str(size))
        for name, size in sizes.items()
    ]
    print_table(
        "multiply-adds of one square image, or of one sequence, in evaluation",
        ("model", "parameters", "multiply-adds", "size"),
        rows,
    )
