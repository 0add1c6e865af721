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
from subquad.nn.causal import Cache
from subquad.tasks.language.writing import Place

KEY = "subquad_text"  # in the metadata of the file
LOGITS = "logits"
GROWS = (".key", ".value")  # of attention: (batch, heads, rows, size), with some rows more than it has read
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
    if not path.exists():
        raise FileNotFoundError(f"there is no state {path}; `subquad generate --state {path}` writes one.")
    tensors, metadata = read_safetensors(path)
    if KEY not in metadata:
        raise ValueError(
            f"{path} holds no place in a text; give a file that `subquad generate --state` wrote."
        )
    try:
        told = json.loads(metadata[KEY])
        made, seed, written = (told[name] for name in ("format", "seed", "written"))
        waiting = told["waiting"]
        is_right = isinstance(waiting, list) and all(isinstance(numbers, list) for numbers in waiting)
        numbers = [made, seed, written, *(number for some in waiting for number in some)]
        is_right = is_right and all(type(n) is int and 0 <= n < 2**63 for n in numbers)
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


def _check(path: Path, cache: Cache, logits: Tensor, network: Any, batch: int) -> None:
    """Raise ValueError unless tensors are what the network would have written."""
    usual = network.init_cache(max(batch, 1), device="meta")
    fits = batch > 0 and logits.shape == (batch, network.config.vocab_size) and cache.keys() == usual.keys()
    fits = fits and logits.is_floating_point()
    fits = fits and all(_is_like(name, cache[name], like) for name, like in usual.items())
    if not fits or not _are_counted(cache) or not_finite({**cache, LOGITS: logits}):
        raise ValueError(f"{path} is damaged: its tensors are not those of this network; write it again.")


def _is_like(name: str, tensor: Tensor, usual: Tensor) -> bool:
    """Say whether a tensor is of the type and shape of that of no token, but for its rows."""
    shape = list(tensor.shape)
    if name.endswith(GROWS) and len(shape) == 4:
        shape[2] = 0
    return tensor.dtype == usual.dtype and shape == list(usual.shape)


def _are_counted(cache: Cache) -> bool:
    """Say whether all layers have read as many tokens of a sample, and those with rows have that many."""
    read = [tensor for name, tensor in cache.items() if name.endswith(".t")]
    rows = {tensor.shape[2] for name, tensor in cache.items() if name.endswith(GROWS)}
    return (
        all(int(t.min()) >= 0 and torch.equal(t, read[0]) for t in read)
        and len(rows) <= 1
        and all(int(t.max()) <= most for t in read for most in rows)
    )
