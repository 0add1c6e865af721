"""Batch norms put into the convolutions before them: the same function in evaluation, with fewer steps."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from subquad.nn.conv import BatchNorm
from subquad.nn.mode import evaluating

AGREEMENT = 1e-4  # of the largest output: rounding in another order, and no more

T = TypeVar("T", bound=nn.Module)


def folded(network: T, example: Tensor) -> T:
    """Return a copy for inference whose batch norms are part of the convolutions before them.

    A norm with fixed statistics is a scale and a shift for each channel, and so is a part of the weights
    and the bias of a convolution that nothing else sees the output of. Which norm follows which
    convolution is seen from one pass; the copy is checked against the network on the same images.

    Args:
        network: Any network; it stays as it is.
        example: What it takes, small; on its device.

    Returns:
        The copy in evaluation mode; not to be trained or saved. The network itself if nothing can be
        folded, or if the copy does not agree with it.
    """
    twin = copy.deepcopy(network).eval()
    expected = output_of(network, (example,))
    if not fold_norms(twin, (example,)):
        return network
    return twin if difference(output_of(twin, (example,)), expected) < AGREEMENT else network


def fold_norms(network: nn.Module, example: tuple[Tensor, ...]) -> int:
    """Put the batch norms of a network in evaluation mode into the convolutions before them, in place.

    Args:
        network: Not to be trained any more.
        example: What it takes.

    Returns:
        The number of norms that are gone.
    """
    pairs = neighbours(network, example, _takes_norm, _is_folded)
    places = places_of(network)
    for conv, norm in pairs:
        assert isinstance(conv, nn.Conv2d)
        scale, shift = affine_of(norm)
        weight, bias = weights_of(conv)
        set_weights(conv, weight * scale[:, None, None, None], bias * scale + shift)
        parent, name = places[id(norm)]
        setattr(parent, name, getattr(norm, "act", nn.Identity()))
    return len(pairs)


def places_of(network: nn.Module) -> dict[int, tuple[nn.Module, str]]:
    """Return of each part, by its identity, the module that holds it and its name there."""
    return {
        id(child): (parent, name) for parent in network.modules() for name, child in parent.named_children()
    }


def output_of(network: nn.Module, example: tuple[Tensor, ...]) -> Tensor:
    """Return what a network says in evaluation mode, on a GPU without TF32."""
    with evaluating(network), torch.inference_mode(), _exact():
        return network(*example)


def difference(output: Tensor, expected: Tensor) -> float:
    """Return the largest difference, in units of the largest output; infinite if one is not finite."""
    error = (output.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    return float(error) if error.isfinite() else float("inf")


def _exact() -> AbstractContextManager[None]:
    """Leave cuDNN out, which rounds to TF32 unless it is told otherwise: 1e-3, and far more than rounding."""
    return torch.backends.cudnn.flags(enabled=False)


def neighbours(
    network: nn.Module,
    example: tuple[Tensor, ...],
    is_first: Callable[[nn.Module], bool],
    is_second: Callable[[nn.Module], bool],
) -> list[tuple[Any, Any]]:
    """Return modules that take just what another one gives, with that one; each of them used once.

    What a function takes besides is not seen: a check has to follow. Modules with hooks are left as they are.

    Args:
        network: Is run once.
        example: What it takes.
        is_first: Whether a module may be the first of two.
        is_second: Whether it may be the second.
    """
    made: dict[int, tuple[nn.Module, Tensor]] = {}  # by the identity of an output, which is kept alive
    found: list[tuple[nn.Module, nn.Module]] = []
    uses: Counter[int] = Counter()

    def gives(module: nn.Module, inputs: Any, output: Any) -> None:
        made[id(output)] = (module, output)
        uses[id(module)] += 1

    def takes(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        uses[id(module)] += 1
        if inputs and id(inputs[0]) in made:
            found.append((made[id(inputs[0])][0], module))

    free = [module for module in network.modules() if not has_hooks(module)]
    hooks = [module.register_forward_hook(gives) for module in free if is_first(module)]
    hooks += [module.register_forward_pre_hook(takes) for module in free if is_second(module)]
    try:
        output_of(network, example)
    finally:
        for hook in hooks:
            hook.remove()
    firsts = Counter(id(first) for first, _ in found)
    return [(a, b) for a, b in found if uses[id(a)] == uses[id(b)] == firsts[id(a)] == 1]


def has_hooks(module: nn.Module) -> bool:
    """Say whether somebody watches a module, or changes what goes in or comes out."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _takes_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and not is_parametrized(module)


def _is_folded(module: nn.Module) -> bool:
    """Say whether a module is a batch norm with statistics, maybe with an activation behind it as timm's."""
    is_plain = type(module) in (nn.BatchNorm2d, BatchNorm) or type(module).__name__ == "BatchNormAct2d"
    return is_plain and isinstance(module, _BatchNorm) and module.running_mean is not None


@torch.no_grad()
def affine_of(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Return scale and shift of a batch norm, in float64 on the CPU, as not all devices have it."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = torch.rsqrt(norm.running_var.cpu().double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.cpu().double()
    shift = -norm.running_mean.cpu().double() * scale
    return scale, shift if norm.bias is None else shift + norm.bias.cpu().double()


@torch.no_grad()
def weights_of(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution, zero if it has none, in float64 on the CPU."""
    weight = conv.weight.cpu().double()
    return weight, weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.cpu().double()


def set_weights(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    """Give a convolution new weights, of the type and on the device of the old, not to be trained."""
    bias = bias.to(conv.weight)
    conv.weight = nn.Parameter(weight.to(conv.weight), False)
    conv.bias = nn.Parameter(bias, False)


def with_weights(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """Return a copy of a convolution with other weights."""
    made = copy.deepcopy(conv)
    set_weights(made, weight, bias)
    return made
