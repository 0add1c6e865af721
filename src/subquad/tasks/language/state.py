"""Where a network is in a text, as a file to go on from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from subquad.base.files import write_whole
from subquad.base.finite import not_finite
from subquad.models.checkpoint import read_safetensors
from subquad.tasks.language.writing import Place

KEY = "subquad_text"  # in the metadata of the file
LOGITS = "logits"
FORMAT = 1


def save_place(path: Path, place: Place, waiting: Sequence[Sequence[int]], weights: str) -> None:
    """Write a place, all at once.

    Args:
        path: Of the file.
        place: The place.
        waiting: Of each sample what its decoder goes on from.
        weights: Digest of the weights of the network.
    """
    told = {
        "format": FORMAT,
        "written": place.written,
        "seed": place.seed,
        "waiting": [list(tokens) for tokens in waiting],
        "weights": weights,
    }
    tensors = {f"cache.{name}": tensor for name, tensor in place.cache.items()} | {LOGITS: place.logits}
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(tensors, metadata={KEY: json.dumps(told)}))


def load_place(path: Path, network: Any, weights: str) -> tuple[Place, list[list[int]]]:
    """Read a place of `save_place`; returns it on the device of the network, and what decoders go on from.

    Args:
        path: Of the file; it may hold anything.
        network: That goes on.
        weights: Digest of its weights.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no such file, is damaged, or of other weights.
    """
    tensors, metadata = read_safetensors(path)
    if KEY not in metadata:
        raise ValueError(
            f"{path} holds no place in a text; give a file that `subquad generate --state` wrote."
        )
    try:
        told = json.loads(metadata[KEY])
        made, seed, written = (told[name] for name in ("format", "seed", "written"))
        waiting = told["waiting"]
        vocab_size = network.config.vocab_size
        is_right = all(type(n) is int and 0 <= n < 2**63 for n in (made, seed, written)) and all(
            type(token) is int and 0 <= token < vocab_size - 1 for tokens in waiting for token in tokens
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        is_right, made, told, seed, written, waiting = False, 0, {}, 0, 0, []
    if not is_right:
        raise ValueError(f"{path} is damaged; write it again.")
    if made > FORMAT:
        raise ValueError(f"{path} is of a newer version of subquad; update it.")
    if told.get("weights") != weights:
        raise ValueError(f"{path} was written with other weights; give the checkpoint that wrote it.")
    logits = tensors.pop(LOGITS, torch.zeros(0))
    cache = {name.removeprefix("cache."): tensor for name, tensor in tensors.items()}
    _check(path, cache, logits, network, len(waiting))
    device = next(network.parameters()).device
    moved = {name: tensor.to(device) for name, tensor in cache.items()}
    return Place(moved, logits.to(device), written, seed), waiting


def _check(path: Path, cache: dict[str, Tensor], logits: Tensor, network: Any, batch: int) -> None:
    """Raise ValueError unless tensors are what the network would have written."""
    usual = network.init_cache(max(batch, 1), device="meta")
    fits = batch > 0 and logits.shape == (batch, network.config.vocab_size) and cache.keys() == usual.keys()
    fits = fits and logits.is_floating_point()
    fits = fits and all(_is_like(cache[name], like) for name, like in usual.items())
    if not fits or not_finite({**cache, LOGITS: logits}):
        raise ValueError(f"{path} is damaged: its tensors are not those of this network; write it again.")


def _is_like(tensor: Tensor, usual: Tensor) -> bool:
    """Say whether a tensor is of the type and shape of that of no token, which may be empty along an axis."""
    same = zip(tensor.shape, usual.shape, strict=False)
    return (
        tensor.dtype == usual.dtype
        and tensor.dim() == usual.dim()
        and all(size == wanted or wanted == 0 for size, wanted in same)
    )
