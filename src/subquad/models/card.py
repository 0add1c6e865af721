"""The model card: what a network is, filled in from its configuration; nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torch import nn

from subquad.models.config import ImageConfig, NetworkConfig, SegmentationConfig
from subquad.models.hamgan import HamGANConfig
from subquad.models.sequence.config import SequenceConfig


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
    tag, task = _task(config)
    header = {
        "license": license,
        "library_name": "subquad",
        **({"pipeline_tag": tag} if tag else {}),
        "tags": ["subquad", config.family],
    }
    parameters = sum(p.numel() for p in network.parameters())
    backbone = getattr(config, "backbone", "")
    sections = [
        "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items()) + "---",
        f"# {name}",
        f"A {type(network).__name__} of the family `{config.family}` for {task}, with "
        + (f"the backbone `{backbone}`, " if backbone else "")
        + f"{config.num_classes} classes and {parameters:,} parameters.",
        description.strip(),
        "## Use",
        *_use(config, name),
        "## Classes",
        _classes(config),
        "## Metrics",
        _table(("metric", "value"), [(key, f"{value:g}") for key, value in (metrics or {}).items()])
        or "None were given.",
        *(("## Sources", "\n".join(f"- {paper}" for paper in config.sources)) if config.sources else ()),
        "## Licence",
        f"Of the weights: {license}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _task(config: NetworkConfig) -> tuple[str | None, str]:
    """Return the Hub's tag, if it has one, and our words for what a network does."""
    if isinstance(config, HamGANConfig):
        return "unconditional-image-generation", "class-conditional image generation"
    if isinstance(config, SegmentationConfig):
        return "image-segmentation", "semantic segmentation"
    if isinstance(config, ImageConfig):
        return "image-classification", "image classification"
    if not isinstance(config, SequenceConfig):
        return None, "a task of its own"
    if config.regression:
        return "tabular-regression", "regression from sequences"
    return "text-classification", "classification of sequences"


def _use(config: NetworkConfig, name: str) -> tuple[str, ...]:
    """Return the sections on use and on what goes in."""
    loading = (
        f'import torch\nfrom subquad.models import from_pretrained\n\nnetwork = from_pretrained("{name}")\n'
    )
    colours = "red, green, blue, " if getattr(config, "in_channels", 0) == 3 else ""
    if isinstance(config, HamGANConfig):
        return (
            f"```python\n{loading}latent = torch.randn(4, {config.latent})\n"
            f"labels = torch.arange(4) % {config.num_classes}  # the classes of the four images\n"
            f"with torch.no_grad():\n    images = (network(latent, labels) + 1) / 2\n```",
            f"Images are in 0 to 1 then, {colours}(batch, {config.in_channels}, {config.size}, "
            f"{config.size}).",
        )
    if isinstance(config, ImageConfig):
        mean, std = ([round(value, 6) for value in values] for values in config.normalization)
        output = "classes, height, width" if isinstance(config, SegmentationConfig) else "classes"
        return (
            f"```python\n{loading}"
            f"images = torch.rand(1, {config.in_channels}, 256, 320)  # (batch, channels, height, width)\n"
            f"mean, std = torch.tensor({mean}), torch.tensor({std})\n"
            "logits = network((images - mean[:, None, None]) / std[:, None, None])\n```",
            f"Images are in 0 to 1, {colours}of any height and width; the logits are (batch, {output}).",
            "## Normalisation",
            f"Mean {mean}, standard deviation {std}, one value for each channel.",
        )
    if not isinstance(config, SequenceConfig):  # of another package, which knows what it reads
        return (f"```python\n{loading}```",)
    if config.vocab_size is None:
        sample, shape = f"torch.randn(1, {config.length}, {config.in_features})", "(batch, n, features)"
    else:
        sample, shape = f"torch.randint({config.vocab_size}, (1, {config.length}))", "(batch, n)"
    return (
        f"```python\n{loading}sequences = {sample}  # {shape}\noutputs = network(sequences)\n```",
        f"Sequences are {shape}; of different lengths in one batch, they are padded on the right and "
        f"`lengths=` says how long each is. The outputs are (batch, {config.num_classes}).",
    )


def _classes(config: NetworkConfig) -> str:
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
