"""The steps of `optimize_for_inference`: each changes a network in evaluation in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from subquad.models.backbones.folded_pyramid import FoldedBlock
from subquad.models.folding import affine_of, fold_norms, has_hooks, neighbours, places_of
from subquad.models.segmentation.network import SegmentationNetwork
from subquad.nn import Ham
from subquad.nn.conditional_norm import ConditionalBatchNorm
from subquad.nn.conv import BatchNorm
from subquad.nn.conv_activation import ACTIVATIONS, ConvActivation
from subquad.nn.dilated import DepthwiseByPhases, has_phases

Example = tuple[Tensor, ...]
Change = Callable[[nn.Module, Example], int]  # returns in how many places


def in_bfloat16(network: nn.Module, example: Example) -> int:
    """Compute in bfloat16; dictionaries of hams, and so all inside of them, and outputs are float32."""
    hams = [module for module in network.modules() if isinstance(module, Ham)]
    dictionaries = [ham.dictionary.detach().clone() for ham in hams]  # `to` changes parameters in place
    network.to(torch.bfloat16)
    for ham, dictionary in zip(hams, dictionaries, strict=True):
        ham.dictionary.data = dictionary
    first, last = _ends(network)
    first.register_forward_pre_hook(_as_bfloat16)
    last.register_forward_hook(_as_float32)
    return 1


def compiled(network: nn.Module, example: Example) -> int:
    """Let `torch.compile` work on a network, for inputs of any size; what is around its parts stays."""
    for part in dict.fromkeys(_ends(network)):
        part.compile(dynamic=True)
    return 1


def _ends(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return the first and the last part of a network, between which all is computed; maybe itself."""
    # Of one whose logits may be asked for at two sizes, what both have in common.
    if isinstance(network, SegmentationNetwork) and network.has_coarse_logits:
        return network.backbone, network.head
    return network, network


def _as_bfloat16(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        x.to(torch.bfloat16) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs
    )


def _as_float32(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return output.float()


@torch.no_grad()
def _settle_spectral_norms(network: nn.Module, example: Example) -> int:
    """Keep the normalised weights, which evaluation would compute anew each time, and the same."""
    found = [module for module in network.modules() if parametrize.is_parametrized(module)]
    for module in found:
        values = {name: getattr(module, name).detach() for name in module.parametrizations}  # pyright: ignore
        # PyTorch's own way out would change the class, which copies share with what they are of.
        del module._modules["parametrizations"]
        module.__class__ = type(module).__mro__[1]
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value, False))
    return len(found)


@torch.no_grad()
def _fold_statistics(network: nn.Module, example: Example) -> int:
    """Put mean and variance of conditional batch norms into their tables."""
    found = [module for module in network.modules() if isinstance(module, ConditionalBatchNorm)]
    found = [module for module in found if type(module.norm) is BatchNorm]
    for module in found:
        assert isinstance(module.norm, BatchNorm)
        scale, shift = (values.to(module.weight.device) for values in affine_of(module.norm))
        module.bias.copy_(module.bias + shift * module.weight.double())
        module.weight.copy_(scale * module.weight)
        module.norm = nn.Identity()
    return len(found)


def _fold_blocks(network: nn.Module, example: Example) -> int:
    places = places_of(network)
    found = [module for module in network.modules() if FoldedBlock.takes(module)]
    found = [block for block in found if not any(has_hooks(part) for part in block.modules())]
    for block in found:
        parent, name = places[id(block)]
        setattr(parent, name, FoldedBlock(block))  # pyright: ignore[reportArgumentType]
    return len(found)


def _split_into_phases(network: nn.Module, example: Example) -> int:
    found = [module for module in network.modules() if type(module) is nn.Conv2d and has_phases(module)]
    for conv in found:
        conv.__class__ = DepthwiseByPhases  # which has the same parts
    return len(found)


def _join_activations(network: nn.Module, example: Example) -> int:
    """Let convolutions apply the activations behind them."""
    pairs = neighbours(
        network, example, lambda module: type(module) is nn.Conv2d, lambda module: type(module) in ACTIVATIONS
    )
    pairs = [(conv, activation) for conv, activation in pairs if ConvActivation.takes(conv, activation)]
    places = places_of(network)
    for conv, activation in pairs:
        for module, instead in ((conv, ConvActivation(conv, activation)), (activation, nn.Identity())):
            parent, name = places[id(module)]
            setattr(parent, name, instead)
    return len(pairs)


STEPS: dict[str, Change] = {
    "spectral norms computed once": _settle_spectral_norms,
    "statistics of conditional norms in their tables": _fold_statistics,
    "norms and scales of blocks in their convolutions": _fold_blocks,
    "batch norms in the convolutions before them": fold_norms,
    "dilated depthwise convolutions by phases": _split_into_phases,
    "activations in the convolutions before them": _join_activations,
}
