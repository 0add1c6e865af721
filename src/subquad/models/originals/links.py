"""Paramixer checkpoints of the originals: one network a factor there, stacked tensors here."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_LAYERS = {"0.weight": "weight1", "0.bias": "bias1", "2.weight": "weight2", "2.bias": "bias2"}
_LINK_NETWORK = re.compile(r"attention\.(\d+)\.fs\.(\d+)\.network\.(0\.weight|0\.bias|2\.weight|2\.bias)")


def holds_links(tensors: Mapping[str, Tensor]) -> bool:
    """Say whether a state dict is that of a Paramixer or PSF-Attn of the originals."""
    return any(_LINK_NETWORK.fullmatch(_block_name(name)) for name in tensors)


def stack_links(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stack the link networks of each block, as `subquad.nn.links.LinkNetworks` holds them.

    Args:
        tensors: With the originals' names.

    Returns:
        The tensors, with `attention.{block}.links.{weight1,bias1,weight2,bias2}` in place of
        `attention.{block}.fs.{factor}.network.{0,2}.{weight,bias}`. Other state dicts come back
        as they are.
    """
    others: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _LINK_NETWORK.fullmatch(_block_name(name))
        if match is None:
            others[_block_name(name)] = tensor
        else:
            stacked = f"attention.{match[1]}.links.{_LAYERS[match[3]]}"
            parts.setdefault(stacked, {})[int(match[2])] = tensor
    if not parts:
        return dict(tensors)
    for name, of_factor in parts.items():
        factors = [of_factor[factor] for factor in sorted(of_factor)]
        # The first layers are one product, so their rows lie one below the other.
        others[name] = torch.cat(factors) if name.endswith("1") else torch.stack(factors)
    return others


def _block_name(name: str) -> str:
    """Return the name as of block 0, where the original has a single block without a number."""
    return f"attention.0.{name}" if re.match(r"(fs|g)\.", name) else name
