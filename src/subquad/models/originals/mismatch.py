"""Why a checkpoint does not fit a network, told from its names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from subquad.models.backbones import MSCAN, VAN, ResNet
from subquad.models.originals.recognise import kind_of

# Of the backbone in each kind of checkpoint, by the start of its networks' names.
_BACKBONES: tuple[tuple[str, type[nn.Module]], ...] = (
    ("segnext", MSCAN),
    ("light_ham_van", VAN),
    ("hamnet_van", VAN),
    ("hamnet", ResNet),
    ("van", VAN),
)


def remedy(network: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Say what to do about a checkpoint that does not cover a network, as a sentence.

    Args:
        network: What was to be filled.
        tensors: With the originals' names.
    """
    backbone = getattr(network, "backbone", network)
    kind = kind_of(tensors)
    theirs = next((module for start, module in _BACKBONES if kind and kind.startswith(start)), None)
    if theirs is None or isinstance(backbone, theirs):
        return "Check the size of the network."
    name = getattr(getattr(network, "config", None), "backbone", type(backbone).__name__)
    return (
        f"The names are those of {kind}, but this network has the backbone {name}: choose a network of that "
        f"kind, or other weights."
    )
