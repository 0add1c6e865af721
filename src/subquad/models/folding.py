"""Batch norms put into the convolutions before them: the same function in evaluation, with fewer steps."""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

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
    expected, pairs = _watched(twin, example)
    if not pairs:
        return network
    places = {
        id(child): (parent, name) for parent in twin.modules() for name, child in parent.named_children()
    }
    for conv, norm in pairs:
        _fold(conv, norm)
        parent, name = places[id(norm)]
        setattr(parent, name, getattr(norm, "act", nn.Identity()))
    with torch.inference_mode(), _exact():
        error = (twin(example) - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    return twin if bool(error < AGREEMENT) else network


def _exact() -> AbstractContextManager[None]:
    """Leave cuDNN out, which rounds to TF32 unless it is told otherwise: 1e-3, and far more than rounding."""
    return torch.backends.cudnn.flags(enabled=False)


def _watched(network: nn.Module, example: Tensor) -> tuple[Tensor, list[tuple[nn.Conv2d, nn.BatchNorm2d]]]:
    """Return the output, and the convolutions and norms that follow each other, each of them used once."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # by the identity of an output, which is kept alive
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def of_conv(conv: Any, inputs: Any, output: Tensor) -> None:
        made[id(output)] = (conv, output)

    def of_norm(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made:
            found.append((made[id(inputs[0])][0], norm))

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(of_conv))
        elif _folds(module):
            hooks.append(module.register_forward_pre_hook(of_norm))
    try:
        with torch.inference_mode(), _exact():
            output = network(example)
    finally:
        for hook in hooks:
            hook.remove()
    uses = Counter(id(module) for pair in found for module in pair)
    return output, [pair for pair in found if all(uses[id(module)] == 1 for module in pair)]


def _folds(module: nn.Module) -> bool:
    """Say whether a module is a batch norm with statistics, maybe with an activation behind it as timm's."""
    plain = type(module) is nn.BatchNorm2d or type(module).__name__ == "BatchNormAct2d"
    return plain and isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None and norm.running_var is not None
    norm.cpu().double()  # it is not used any more; float64 is not on every device
    weight, mean, variance = conv.weight.cpu().double(), norm.running_mean, norm.running_var
    scale = torch.rsqrt(variance + norm.eps) * (1.0 if norm.weight is None else norm.weight)
    before = 0.0 if conv.bias is None else conv.bias.cpu().double()
    shift = (before - mean) * scale + (0.0 if norm.bias is None else norm.bias)
    conv.weight = nn.Parameter((weight * scale[:, None, None, None]).to(conv.weight), False)
    conv.bias = nn.Parameter(shift.to(conv.weight), False)
