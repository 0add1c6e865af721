"""The model card: what a network is, filled in from its configuration; nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torch import nn

from subquad.models.config import ImageConfig, SegmentationConfig
from subquad.models.hamgan import HamGANConfig


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
    if not isinstance(config, ImageConfig):
        raise ValueError(f"only networks of subquad.create_model have a card, got {type(network).__name__}.")
    tag, task = _task(config)
    backbone = getattr(config, "backbone", "")
    header = {
        "license": license,
        "library_name": "subquad",
        "pipeline_tag": tag,
        "tags": ["subquad", config.family],
    }
    parameters = sum(p.numel() for p in network.parameters())
    mean, std = ([round(value, 6) for value in values] for values in config.normalization)
    sections = [
        "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items()) + "---",
        f"# {name}",
        f"A {type(network).__name__} of the family `{config.family}` for {task}, with "
        f"{f'the backbone `{backbone}`, ' if backbone else ''}{config.num_classes} classes and "
        f"{parameters:,} parameters.",
        description.strip(),
        "## Use",
        "```python\nimport torch\nfrom subquad.models import from_pretrained\n\n"
        f'network = from_pretrained("{name}")\n' + _use(config),
        "## Normalisation",
        f"Mean {mean}, standard deviation {std}, one value for each channel.",
        "## Classes",
        _classes(config),
        "## Metrics",
        _table(("metric", "value"), [(key, f"{value:g}") for key, value in (metrics or {}).items()])
        or "None were given.",
        "## Licence",
        f"Of the weights: {license}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _task(config: ImageConfig) -> tuple[str, str]:
    """Return the Hub's tag of the task, and its name."""
    if isinstance(config, HamGANConfig):
        return "unconditional-image-generation", "class-conditional image generation"
    if isinstance(config, SegmentationConfig):
        return "image-segmentation", "semantic segmentation"
    return "image-classification", "image-classification"


def _use(config: ImageConfig) -> str:
    """Return the rest of the example, and what goes in and comes out."""
    colours = "red, green, blue, " if config.in_channels == 3 else ""
    if isinstance(config, HamGANConfig):
        return (
            f"latent = torch.randn(4, {config.latent})\n"
            f"labels = torch.arange(4) % {config.num_classes}  # the classes of the four images\n"
            f"with torch.no_grad():\n    images = (network(latent, labels) + 1) / 2\n```\n\n"
            f"Images are in 0 to 1 then, {colours}(batch, {config.in_channels}, {config.size}, "
            f"{config.size})."
        )
    mean, std = ([round(value, 6) for value in values] for values in config.normalization)
    output = "classes, height, width" if isinstance(config, SegmentationConfig) else "classes"
    return (
        f"images = torch.rand(1, {config.in_channels}, 256, 320)  # (batch, channels, height, width)\n"
        f"mean, std = torch.tensor({mean}), torch.tensor({std})\n"
        f"logits = network((images - mean[:, None, None]) / std[:, None, None])\n```\n\n"
        f"Images are in 0 to 1, {colours}of any height and width; the logits are (batch, {output})."
    )


def _classes(config: ImageConfig) -> str:
    """Return the table of names and colours, or their number."""
    if not config.class_names:
        return f"{config.num_classes}; their names were not given."
    palette = getattr(config, "palette", ()) or [("",) * 3] * config.num_classes
    rows = [
        (str(index), name.replace("|", "\\|"), ", ".join(map(str, colour)).strip(", "))
        for index, (name, colour) in enumerate(zip(config.class_names, palette, strict=True))
    ]
    return _table(("index", "name", "colour"), rows)


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
