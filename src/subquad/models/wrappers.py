"""Networks inside of others: what compiles, averages or distributes one keeps it under another name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

# What stands in front of all names of a checkpoint: those above, and the attribute of a Lightning module.
_PREFIXES = ("module.", "_orig_mod.", "network.", "model.", "net.")
# Under which checkpoints keep the weights beside other things, the first that is there counts.
WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "net", "model", "network", "weights", "params",
    "state_dict_ema", "model_ema", "ema_state_dict", "ema",
)  # fmt: skip
_DEPTH = 4  # of wrappers inside wrappers


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside of `torch.compile`, data parallelism and averages."""
    while inside := _inside(model):
        model = model.get_submodule(inside)
    return model


def bare_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of a network as if no part of it had been wrapped."""
    model = unwrapped(model)
    state: Mapping[str, Tensor] = model.state_dict()
    for name, module in reversed(list(model.named_modules())):  # from the inside out
        if inside := _inside(module):
            wrapped, bare = f"{name}.{inside}.", f"{name}."
            state = {
                bare + n.removeprefix(wrapped) if n.startswith(wrapped) else n: t for n, t in state.items()
            }
    return dict(state)


def find_weights(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return what holds the tensors of a checkpoint: itself, one of `WRAPPERS`, or its only such part."""
    for _ in range(_DEPTH):
        parts = {key: part for key, part in content.items() if isinstance(part, Mapping)}
        named = next((parts[key] for key in WRAPPERS if key in parts), None)
        holding = [part for part in parts.values() if _holds_tensors(part)]
        if named is None and not _holds_tensors(content) and len(holding) == 1:
            named = holding[0]
        if named is None:
            break
        content = named
    return content


def bare_names(names: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Return the names of a checkpoint's tensors without what wrappers added, by the names it has.

    A prefix goes where at least half of the names have it.

    Args:
        names: Of the checkpoint.
        known: Of the network, where there is one; a name of its own is never shortened.
    """
    known, bare = set(known), {name: name for name in names}
    for _ in range(2 * _DEPTH):
        shortened = {
            n: re.sub(r"(^|\.)_orig_mod\.", r"\1", b) if b not in known else b for n, b in bare.items()
        }
        for prefix in _PREFIXES:
            having = [n for n, b in shortened.items() if b.startswith(prefix) and b not in known]
            if 2 * len(having) >= len(bare):
                shortened |= {n: shortened[n].removeprefix(prefix) for n in having}
        if shortened == bare:
            break
        bare = shortened
    return bare


def _inside(module: nn.Module) -> str:
    """Return under which name a wrapper keeps what it wraps; empty for what is none."""
    if isinstance(module, (nn.DataParallel, DistributedDataParallel, AveragedModel)):
        return "module"
    return "_orig_mod" if "_orig_mod" in dict(module.named_children()) else ""  # of torch.compile


def _holds_tensors(part: Mapping[Any, Any]) -> bool:
    return any(hasattr(value, "shape") for value in part.values())
