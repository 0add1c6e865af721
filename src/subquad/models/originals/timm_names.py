"""Files of timm and torchvision in a timm backbone: their tensors found by name, or else by order."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from subquad.models.backbones.timm import TimmBackbone
from subquad.models.classification.timm import TimmBody

_COUNTER = "num_batches_tracked"  # of batch norm, which older files lack


def timm_names(
    network: nn.Module, theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]
) -> dict[str, str]:
    """Return our name of each tensor of a file that belongs to a timm backbone; {} for other networks.

    A network that gives feature maps has its parts under names of its own ("stages_0" for "stages.0").
    Files of torchvision and others have the same tensors under other names. They are taken by their order
    if, all along the backbone, shapes and kinds of tensors ("weight", "running_mean") agree.

    Args:
        network: A backbone, or a network with one.
        theirs: The file's tensors, in its order.
        ours: The network's.
    """
    prefix = _prefix(network)
    body = [] if prefix is None else [n for n in ours if n.startswith(prefix) and not n.endswith(_COUNTER)]
    if not body or any(n in body for n in theirs):  # a file of ours
        return {}
    assert prefix is not None
    by_name = {_plain(n.removeprefix(prefix)): n for n in ours if n.startswith(prefix)}
    found = {n: by_name[_plain(n)] for n in theirs if _plain(n) in by_name}
    if 2 * len(found) >= len(body):
        return found
    in_order = [n for n in theirs if not n.endswith(_COUNTER)]
    pairs = list(zip(in_order, body, strict=False))
    agree = len(pairs) == len(body) and all(
        _kind(their) == _kind(our) and _alike(theirs[their], ours[our], is_stem=position == 0)
        for position, (their, our) in enumerate(pairs)
    )
    return dict(pairs) | _counters(pairs, ours) if agree else found


def _counters(pairs: list[tuple[str, str]], ours: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the names of the counters of the batch norms among the pairs; what a file lacks does no harm."""
    ends = ("running_var", _COUNTER)
    both = ((their.replace(*ends), our.replace(*ends)) for their, our in pairs if "running_var" in our)
    return {their: our for their, our in both if our in ours}


def _prefix(network: nn.Module) -> str | None:
    """Return what stands in front of timm's own names."""
    if isinstance(network, (TimmBackbone, TimmBody)):
        return "network."
    backbone = getattr(network, "backbone", None)
    return "backbone.network." if isinstance(backbone, (TimmBackbone, TimmBody)) else None


def _alike(theirs: Tensor, ours: Tensor, *, is_stem: bool) -> bool:
    """Say whether two tensors have one shape; of the stem, whose channels are adapted, but for these."""
    if is_stem and theirs.dim() == ours.dim() > 1:
        return theirs.shape[:1] + theirs.shape[2:] == ours.shape[:1] + ours.shape[2:]
    return theirs.shape == ours.shape


def _plain(name: str) -> str:
    return name.removeprefix("model.").replace("_", ".")


def _kind(name: str) -> str:
    return name.rpartition(".")[2]
