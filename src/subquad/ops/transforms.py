"""What PyTorch's transforms (`torch.compile`, `torch.func`) allow while they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import debug_unwrap


def is_known(x: Tensor) -> bool:
    """Say whether Python may look at what a tensor holds: not while compiling, and not under vmap."""
    # What `vmap` hands out hides an axis: many tensors in one.
    return not torch.compiler.is_compiling() and debug_unwrap(x).dim() == x.dim()


def is_transformed(*tensors: Tensor) -> bool:
    """Say whether a transform of `torch.func` sees one of these tensors."""
    return not torch.compiler.is_compiling() and any(debug_unwrap(x) is not x for x in tensors)


def is_dual(*tensors: Tensor) -> bool:
    """Say whether one of these tensors carries a derivative of `torch.autograd.forward_ad`."""
    return any(forward_ad.unpack_dual(x).tangent is not None for x in tensors)


def is_differentiated(*tensors: Tensor) -> bool:
    """Say whether `torch.func` differentiates by one of these tensors, in either mode."""
    if torch.compiler.is_compiling():
        return False
    for x in tensors:
        inside = debug_unwrap(x, recurse=False)
        while inside is not x:
            if inside.dim() == x.dim():  # else it is vmap that hides an axis
                return True
            x, inside = inside, debug_unwrap(inside, recurse=False)
    return False


def as_one_batch(
    operation: Callable[..., Any], info: Any, in_dims: Sequence[int | None], *inputs: Any
) -> tuple[Any, Any]:
    """Run an operation on batches for `vmap`: the samples of all its calls are one batch.

    Args:
        operation: Its tensors have the samples along their first axis.
        info: Of the rule of vmap.
        in_dims: For each input the axis that vmap hides, or None.
        inputs: Of the operation.

    Returns:
        The result, one tensor or several, with the axis of vmap as its first, and 0 for each.
    """

    def fold(x: Any, dim: int | None) -> Any:
        if not isinstance(x, Tensor):
            return x
        x = x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
        sizes.append(x.shape[1])
        return x.flatten(0, 1)

    sizes: list[int] = []
    y = operation(*[fold(x, dim) for x, dim in zip(inputs, in_dims, strict=True)])
    if isinstance(y, Tensor):
        return y.unflatten(0, (info.batch_size, sizes[0])), 0
    return tuple(each.unflatten(0, (info.batch_size, sizes[0])) for each in y), (0,) * len(y)
