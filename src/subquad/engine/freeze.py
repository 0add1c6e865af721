"""Parts of a network that training leaves as they are."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from subquad.base.suggest import did_you_mean


def freeze(network: nn.Module, names: Sequence[str]) -> None:
    """Take the parameters of some parts from training.

    The statistics of batch norms are no parameters: keep the parts in evaluation mode for them.

    Args:
        network: Its parameters are changed.
        names: Of parts, such as "backbone" or "backbone.stages.0".

    Raises:
        ValueError: If there is no such part, or nothing is left to train.
    """
    known = [name for name, _ in network.named_modules() if name]
    for name in names:
        if name not in known:
            raise ValueError(
                f"there is no part {name!r} to freeze.{did_you_mean(name, known)} The network has "
                f"{', '.join(name for name, _ in network.named_children())}, and parts of them."
            )
        network.get_submodule(name).requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(f"nothing is left to train when {', '.join(names)} is frozen; freeze less.")
