"""The vectors of tokens belong to the names of the tokens, not to their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from subquad.base.pickles import load_plain
from subquad.models.checkpoint import holds_config, read_config
from subquad.models.config_text import config_from_json

TABLE = "embedding.weight"
RESUMABLE_KEY = "subquad_config"  # of the configuration in a checkpoint to resume from


def token_names(source: str | Path | Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tokens that weights are for, by number; empty if nothing tells them.

    Args:
        source: A file that can be read as weights, or what is in one.
    """
    content: Any = source
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.suffix == ".safetensors":
            return tuple(getattr(read_config(path), "token_names", ())) if holds_config(path) else ()
        if path.suffix != ".ckpt":
            return ()
        content = load_plain(path, ignore_others=True, lazily=True)
    text = content.get(RESUMABLE_KEY)
    config = config_from_json(text, "the checkpoint") if isinstance(text, str) else None
    return tuple(getattr(config, "token_names", ()))


def place_token_rows(
    network: nn.Module, tensors: dict[str, Tensor], theirs: tuple[str, ...]
) -> tuple[str, ...]:
    """Put the vector of each token where the network has the token of its name.

    Args:
        network: To be filled. Tokens that the weights do not have keep its vectors.
        tensors: Weights, by the network's names; the table of tokens is replaced.
        theirs: What the weights' tokens are called, by number.

    Returns:
        The network's tokens that the weights do not have.
    """
    ours = getattr(getattr(network, "config", None), "token_names", ())
    given = tensors.get(TABLE)
    if not ours or not theirs or ours == theirs or given is None or len(given) != len(theirs):
        return ()
    table = network.state_dict()[TABLE].clone()
    if given.shape[1:] != table.shape[1:]:
        return ()
    numbers = {name: number for number, name in enumerate(theirs)}
    shared = [(number, numbers[name]) for number, name in enumerate(ours) if name in numbers]
    for number, other in shared:
        table[number] = given[other]
    tensors[TABLE] = table
    return tuple(name for name in ours if name not in numbers)
