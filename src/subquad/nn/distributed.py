"""Several processes that work on one thing."""

from __future__ import annotations

import torch
from torch import Tensor


def sum_over_processes(tensor: Tensor) -> int:
    """Add a tensor, in place, over all processes of a distributed run.

    Returns:
        The number of processes; 1, and the tensor as it was, outside of such a run.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    torch.distributed.all_reduce(tensor)
    return torch.distributed.get_world_size()
