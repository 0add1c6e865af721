"""Spectral norm as a parametrisation: weights whose largest singular value is, or is at most, one."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from subquad.nn.running import recomputing
from subquad.ops.autocast import autocast_off

_SMALLEST = 1e-12  # a norm below it is that of a zero weight
Module = TypeVar("Module", bound=nn.Module)


class SpectralNorm(nn.Module):
    """Divide a weight by its largest singular value, found by one round of power iteration an access.

    With M the weight as a matrix, (first axis, all others), a round is v = unit(M u), u = unit(M' v),
    and s = v' M u. u and v are constants to the gradient, which flows through M: d s / d M = v u'.
    The vector is kept on the input side, unlike that of `torch.nn.utils.parametrizations.spectral_norm`:
    for an embedding that is the side of the features.

    Every access makes a round, in evaluation too, but only those in training mode keep their u:
    evaluation gives the same weight each time. A weight that is read twice in one step makes two
    rounds, unless within `torch.nn.utils.parametrize.cached()`. Runs in float32 under any autocast.
    A zero weight stays zero, and does not lose its u. The recomputation of a checkpoint repeats the
    latest round and keeps nothing; so a checkpointed weight is read once before each backward pass.

    Args:
        weight: What is normalised, (outputs, ...).
        exact: True divides by s: the norm is one. False divides by max(1, s): it is at most one.

    Attributes:
        u: The vector, in the order of `weight.flatten(1)`: (inputs, height, width) of a convolution.

    References:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018,
        section 2.1.
    """

    u: Tensor
    before: Tensor | None = None  # u before the latest round that was kept

    def __init__(self, weight: Tensor, *, exact: bool = True) -> None:
        super().__init__()
        if weight.dim() < 2 or not weight.is_floating_point():
            raise ValueError(
                f"spectral norm needs a floating point weight (outputs, inputs, ...), got {weight.dtype} "
                f"{tuple(weight.shape)}."
            )
        self.exact = exact
        self.register_buffer("u", torch.empty_like(weight[0].detach().flatten()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vector."""
        nn.init.normal_(self.u)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised weight, of the type and shape of `weight`."""
        with autocast_off(weight):
            matrix = weight.flatten(1).to(torch.promote_types(weight.dtype, torch.float32))
            again = self.training and recomputing()
            before = (self.before if again and self.before is not None else self.u).to(matrix)
            v = _unit(matrix.detach() @ before, fallback=None)
            towards = matrix.mT @ v
            u = _unit(towards.detach(), fallback=before)
            sigma = towards @ u
            divisor = sigma.where(sigma > _SMALLEST, 1) if self.exact else sigma.clamp_min(1)
            normal = (matrix / divisor).to(weight.dtype).reshape(weight.shape)
        if self.training and not again:
            if not torch.compiler.is_compiling():  # which repeats no part of its own
                self.before = self.u.clone()
            with torch.no_grad():
                self.u.copy_(u)
        return normal

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Take a weight that is assigned for the one before normalisation."""
        return weight

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.u.numel()}, exact={self.exact}"


def spectral_norm(module: Module, *, exact: bool = True, name: str = "weight") -> Module:
    """Put a weight of a module under `SpectralNorm`, in place.

    The weight before normalisation becomes `module.parametrizations.weight.original`, the vector
    `module.parametrizations.weight.0.u`. Works under `torch.compile`.

    Args:
        module: Such as a convolution, a linear layer or an embedding.
        exact: See `SpectralNorm`.
        name: Of the weight.

    Returns:
        The module.

    Raises:
        ValueError: If the weight has less than two axes.
    """
    # The checks that "unsafe" leaves out would run a first round.
    parametrize.register_parametrization(
        module, name, SpectralNorm(getattr(module, name), exact=exact), unsafe=True
    )
    return module


@torch.no_grad()
def settle_vectors(network: nn.Module, loaded: Collection[str], *, rounds: int = 50) -> None:
    """Run power iterations for weights that came without their vector, which is then random.

    Args:
        network: Its spectral norms are looked at.
        loaded: Names of the tensors that were filled.
        rounds: Of power iteration.
    """
    for name, module in network.named_modules():
        if isinstance(module, SpectralNorm) and f"{name}.u" not in loaded:
            weight = network.get_parameter(f"{name.rpartition('.')[0]}.original")
            training = module.training
            module.train()
            for _ in range(rounds):
                module(weight)
            module.train(training)


def _unit(vector: Tensor, *, fallback: Tensor | None) -> Tensor:
    """Return the direction of a vector; of a zero one the fallback, or zero."""
    norm = torch.linalg.vector_norm(vector)
    fallback = torch.zeros_like(vector) if fallback is None else fallback
    return torch.where(norm > _SMALLEST, vector / norm.clamp_min(_SMALLEST), fallback)
