"""`subquad info`: describe a network or a checkpoint."""

from __future__ import annotations

import dataclasses
import sys

from torch import nn

from subquad.engine.parsing import Parser


def main(arguments: list[str]) -> None:
    """Print the configuration and the size of each part."""
    from subquad.base.finite import not_finite
    from subquad.engine.checkpoints import checkpoint_path, is_checkpoint
    from subquad.engine.tables import print_table
    from subquad.models import load_model
    from subquad.models.cost import on_meta

    p = Parser(prog="subquad info", description="Describe a network or a checkpoint.")
    p.add_argument("model", type=str, help="A name of `subquad models`, or a checkpoint of `fit`.")
    name = p.parse_args(arguments).model
    is_file = is_checkpoint(name)
    network = load_model(checkpoint_path(name), allow_not_finite=True) if is_file else on_meta(name)
    config = network.config
    values = [(f.name, _short(getattr(config, f.name))) for f in dataclasses.fields(config)]
    print_table(f"{name}: {config.family}", ("option", "value"), values)
    parts = [
        (part, f"{sum(p.numel() for p in module.parameters()):,}")
        for part, module in [*network.named_children(), *_nested(network)]
    ]
    total = sum(p.numel() for p in network.parameters())
    print_table("", ("part", "parameters"), [*sorted(parts), ("total", f"{total:,}")])
    wrong = not_finite(network.state_dict()) if is_file else []
    if wrong:
        sys.stdout.write(
            f"not finite: {len(wrong)} tensors such as {wrong[0]} hold NaN or infinity; no other "
            f"command takes these weights\n"
        )
    sources = "; ".join(config.sources) or "no paper"
    sys.stdout.write(f"source: {sources}; see docs/models.md\n")


def _nested(network: nn.Module) -> list[tuple[str, nn.Module]]:
    return [
        (f"{part}.{name}", module)
        for part, child in network.named_children()
        if part == "head"
        for name, module in child.named_children()
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
