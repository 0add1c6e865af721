"""Several processes that work on one thing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def processes(group: Any = None) -> int:
    """Return how many processes a distributed run has, or a group of it; 1 outside of such a run."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    if group is None:
        return torch.distributed.get_world_size()
    return torch.distributed.get_world_size(group)


def sum_over_processes(tensor: Tensor, group: Any = None) -> int:
    """Add a tensor, in place, over all processes of a distributed run.

    Args:
        tensor: Changed in place.
        group: Of `torch.distributed`: those processes alone.

    Returns:
        The number of processes; 1, and the tensor as it was, outside of such a run.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    if group is None:
        torch.distributed.all_reduce(tensor)
    else:
        torch.distributed.all_reduce(tensor, group=group)
    return processes(group)


def total_over_processes(tensor: Tensor, group: Any = None) -> Tensor:
    """Return the sum of a tensor over all processes, differentiable.

    The gradient of each process is that of the sum of all their losses: it is summed, too.
    """
    total = _Total.apply(tensor, group)
    assert isinstance(total, Tensor)
    return total


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = tensor.clone()
        sum_over_processes(total, group)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return total_over_processes(grads[0], ctx.group), None
