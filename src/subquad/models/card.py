"""The model card: what a network is, filled in from its configuration; nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torch import nn

from subquad.base.table import markdown
from subquad.models.config import NetworkConfig


def model_card(
    network: nn.Module,
    name: str,
    *,
    license: str = "apache-2.0",
    metrics: Mapping[str, float] | None = None,
    description: str = "",
) -> str:
    """Return the card of a network as Markdown with the Hub's header.

    Args:
        network: Of `create_model`.
        name: Its title, and what is loaded: a folder or a repository.
        license: Of the weights.
        metrics: Scores by name.
        description: What else to tell.

    Raises:
        ValueError: If the network has no configuration of ours.
    """
    config = getattr(network, "config", None)
    if not isinstance(config, NetworkConfig):
        raise ValueError(f"only networks of subquad.create_model have a card, got {type(network).__name__}.")
    usage = config.usage()
    header = {
        "license": license,
        "library_name": "subquad",
        **({"pipeline_tag": usage.hub_tag} if usage.hub_tag else {}),
        "tags": ["subquad", config.family],
    }
    parameters = sum(p.numel() for p in network.parameters())
    backbone = getattr(config, "backbone", "")
    sections = [
        "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items()) + "---",
        f"# {name}",
        f"A {type(network).__name__} of the family `{config.family}` for {usage.task}, with "
        + (f"the backbone `{backbone}`, " if backbone else "")
        + f"{config.num_classes} {usage.outputs} and {parameters:,} parameters.",
        description.strip(),
        "## Use",
        "```python\nimport torch\nfrom subquad.models import from_pretrained\n\n"
        f'network = from_pretrained("{name}")\n{usage.code}```',
        *usage.sections,
        *(("## Classes", _classes(config)) if usage.outputs == "classes" else ()),
        "## Metrics",
        _table(("metric", "value"), [(key, f"{value:g}") for key, value in (metrics or {}).items()])
        or "None were given.",
        *(("## Sources", "\n".join(f"- {paper}" for paper in config.sources)) if config.sources else ()),
        "## Licence",
        f"Of the weights: {license}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _classes(config: NetworkConfig) -> str:
    """Return the table of names and colours, or their number."""
    if not config.class_names:
        return f"{config.num_classes}; their names were not given."
    palette = getattr(config, "palette", ()) or [("",) * 3] * config.num_classes
    rows = [
        (str(index), name, ", ".join(map(str, colour)).strip(", "))
        for index, (name, colour) in enumerate(zip(config.class_names, palette, strict=True))
    ]
    return _table(("index", "name", "colour"), rows)


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    return markdown([titles, *rows], numbers=False)
