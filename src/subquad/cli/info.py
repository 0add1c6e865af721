"""`subquad info`: describe a network or a checkpoint."""

from __future__ import annotations

import dataclasses
import json
import sys

from torch import nn

from subquad.engine.options import add_checkpoint, add_json
from subquad.engine.outputs import check_scores, write_scores
from subquad.engine.parsing import Parser

WRITES = "subquad info"


def parser() -> Parser:
    """Return the options of `subquad info`."""
    p = Parser(prog="subquad info", description="Describe a network or a checkpoint.")
    add_checkpoint(p, ", or a name of `subquad models`")
    add_json(p, "the same")
    return p


def main(arguments: list[str]) -> None:
    """Print the configuration and the size of each part."""
    from subquad.base.finite import not_finite
    from subquad.engine.checkpoints import checkpoint_path, is_checkpoint
    from subquad.engine.tables import print_table
    from subquad.models import load_model
    from subquad.models.config_text import config_to_json
    from subquad.models.cost import on_meta

    options = parser().parse_args(arguments)
    name: str = options.checkpoint
    is_file = is_checkpoint(name)
    check_scores(options.json, WRITES, [checkpoint_path(name)] if is_file else [])
    network = load_model(checkpoint_path(name), allow_not_finite=True) if is_file else on_meta(name)
    config = network.config
    values = [(f.name, _short(getattr(config, f.name))) for f in dataclasses.fields(config)]
    print_table(f"{name}: {config.family}", ("option", "value"), values)
    parts = {
        part: sum(p.numel() for p in module.parameters())
        for part, module in [*network.named_children(), *_nested(network)]
    }
    parts = dict(sorted(parts.items())) | {"total": sum(p.numel() for p in network.parameters())}
    print_table("", ("part", "parameters"), [(part, f"{count:,}") for part, count in parts.items()])
    wrong = not_finite(network.state_dict()) if is_file else []
    if wrong:
        sys.stdout.write(
            f"not finite: {len(wrong)} tensors such as {wrong[0]} hold NaN or infinity; no other "
            f"command takes these weights\n"
        )
    sources = "; ".join(config.sources) or "no paper"
    sys.stdout.write(f"source: {sources}; see docs/models.md\n")
    told = {"parameters": parts, "not_finite": wrong, "sources": config.sources}
    write_scores(options.json, WRITES, {"network": name, **json.loads(config_to_json(config)), **told})


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
