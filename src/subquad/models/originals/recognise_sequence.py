"""Which sequence network a checkpoint of the originals is of, told from its names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from subquad.models.originals.links import stack_links
from subquad.models.registry import list_models, model_config
from subquad.models.sequence.config import SequenceConfig


def recognise_sequence(tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Any], str]:
    """Return the nearest named network, how it differs, and what no checkpoint tells.

    Args:
        tensors: With the originals' names.

    Raises:
        ValueError: If a part is missing, or the numbers of factors and links fit no protocol.
    """
    stacked = stack_links(tensors)
    try:
        is_psf = any(name.startswith("fs.") for name in tensors)
        overrides = _overrides(stacked, is_psf)
    except KeyError as missing:
        raise ValueError(
            f"the checkpoint has link networks but no {missing}; it is not the whole of a Paramixer."
        ) from missing
    names = list_models("paramixer_*")
    name = min(names, key=lambda n: _distance(model_config(n), overrides))
    config = model_config(name)
    assert isinstance(config, SequenceConfig)
    used = "used" if config.positions else "built but not used"
    assumed = (
        f"assumed as published for {name}, since no checkpoint tells it: learned positions {used}, "
        f"the residual {'none (PSF-Attn has none, or a fixed one)' if is_psf else config.residual}, dropout "
        f"{config.dropout} and {config.block_dropout}"
    )
    if stacked["attention.0.links.weight2"].shape[:2] == (8, 9):
        assumed += ", the protocol chord (8 factors of 9 links are cdil's as well)"
    return name, overrides, assumed


def _overrides(stacked: Mapping[str, Tensor], is_psf: bool) -> dict[str, Any]:
    positions = stacked.get("apc_embedding.weight", stacked.get("pos_embedding.weight"))
    if positions is None:
        raise KeyError("apc_embedding.weight")
    length, dim = positions.shape
    classes, width = stacked["final.weight"].shape
    factors, links, hidden = stacked["attention.0.links.weight2"].shape
    first = stacked.get("init_linear.weight")
    return {
        "vocab_size": stacked["embedding.weight"].shape[0] if first is None else None,
        "in_features": 1 if first is None else first.shape[1],
        "regression": classes == 1,
        "num_classes": classes,
        "length": length,
        "dim": dim,
        "hidden": hidden,
        "depth": 1 + max(int(n.split(".")[1]) for n in stacked if n.startswith("attention.")),
        "protocol": _protocol(factors, links),
        "links": 9 if links == factors + 1 else links,
        "factors": _rounding(length, factors),
        **({"residual": None} if is_psf else {}),
        "pooling": "flatten" if width == length * dim else "cls",
        "unused_tables": True,
    }


def _protocol(factors: int, links: int) -> str:
    # 9 links of 8 factors are both; CHORD is what all published configurations have.
    if links == factors + 1:
        return "chord"
    if links % 2:
        return "cdil"
    raise ValueError(f"{links} links for each of {factors} factors are neither CHORD's nor CDIL's.")


def _rounding(length: int, factors: int) -> str | int:
    for rounding in ("ceil", "floor"):
        config = SequenceConfig(num_classes=1, length=length, factors=rounding)
        if config.factor_count == factors:
            return rounding
    return factors


def _distance(config: Any, overrides: dict[str, Any]) -> tuple[int, int]:
    """Return how far a named network is: first by what it reads and tells, then by its sizes."""
    task = ("vocab_size", "in_features", "num_classes")
    sizes = ("dim", "hidden", "depth", "length", "pooling")
    return (
        sum(getattr(config, name) != overrides[name] for name in task),
        sum(getattr(config, name) != overrides[name] for name in sizes),
    )
