"""What each ham of a network saw in a pass, what came back to it, and the decomposition that this was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.base.finite import all_finite
from subquad.nn import CausalHam, Ham
from subquad.nn.mode import evaluating

Loss = Callable[[Any], Tensor]


@dataclass(frozen=True)
class RecordedHam:
    """One call of a ham.

    Attributes:
        name: Of the ham in the network; "" if the network is one.
        ham: Itself.
        x: Its input, (batch, dim, *spatial).
        mask: (batch, *spatial), or None.
        cotangent: Gradient of the loss by its output, of the shape of x.
    """

    name: str
    ham: Ham
    x: Tensor
    mask: Tensor | None
    cotangent: Tensor


@dataclass(frozen=True)
class HamProblem:
    """A call of a ham as `decompose` sees it, in float64; heads are samples of their own.

    Attributes:
        x: The data, (batch * heads, columns' length, columns).
        start: Dictionary, (batch * heads, columns' length, rank), that of evaluation.
        cotangent: Gradient by what is reconstructed, of the shape of x.
        mask: (batch * heads, columns), or None.
    """

    x: Tensor
    start: Tensor
    cotangent: Tensor
    mask: Tensor | None


def record_hams(network: nn.Module, batch: Tensor | tuple[Any, ...], loss: Loss | None) -> list[RecordedHam]:
    """Run a network once in evaluation mode, and differentiate a loss by what its hams hand out.

    Its parts, their modes, its gradients and the random generators stay as they are.

    Args:
        network: With a ham.
        batch: What it takes: a tensor, or a tuple of arguments.
        loss: Of the network's output, a scalar; None takes its product with a normal tensor of seed 0.

    Returns:
        One entry for each call of a ham, in the order of the calls.

    Raises:
        ValueError: If there is no ham, the batch does not fit, or the loss is no scalar or sees no ham.
    """
    named = {name: part for name, part in network.named_modules() if isinstance(part, Ham)}
    if not named:
        causal = any(isinstance(part, CausalHam) for part in network.modules())
        raise ValueError(
            f"{type(network).__name__} has no ham, so there is no decomposition to differentiate"
            f"{'; a causal ham is solved in closed form' if causal else ''}."
        )
    for name, ham in named.items():
        if ham.shared_dictionary is not None or ham.carried is not None:
            raise ValueError(
                f"the ham {name!r} shares or carries a dictionary at the moment; measure it outside of that."
            )
    if not isinstance(batch, Tensor | tuple):
        raise ValueError(f"a batch is a tensor or a tuple of arguments, got a {type(batch).__name__}.")
    arguments = batch if isinstance(batch, tuple) else (batch,)
    _check_devices(network, arguments)
    calls: list[tuple[str, Ham, Tensor, Tensor | None]] = []
    probes: list[Tensor] = []

    def see(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        given = dict(zip(("x", "mask"), args, strict=False)) | kwargs
        mask = given.get("mask")
        calls.append((name, named[name], given["x"].detach().clone(), None if mask is None else mask.clone()))
        probes.append(torch.zeros_like(output, requires_grad=True))
        return output + probes[-1]

    handles = [
        ham.register_forward_hook(
            lambda _, args, kwargs, output, name=name: see(name, args, kwargs, output),
            with_kwargs=True,
        )
        for name, ham in named.items()
    ]
    try:
        with (
            evaluating(network),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.random.fork_rng(_random_devices(network)),
        ):
            value = _loss_of(_answer(network, arguments), loss)
            if not calls:
                raise ValueError("no ham was called on the way from this batch to the output.")
            if not value.requires_grad:
                raise ValueError("the loss does not depend on what a ham hands out.")
            found = torch.autograd.grad(value, probes, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    if all(cotangent is None or not bool(cotangent.any()) for cotangent in found):
        raise ValueError(
            "the loss does not depend on what a ham hands out: its gradient there is zero, as where a gate "
            "of zero follows."
        )
    recorded = [
        RecordedHam(name, ham, x, mask, torch.zeros_like(x) if cotangent is None else cotangent)
        for (name, ham, x, mask), cotangent in zip(calls, found, strict=True)
    ]
    for one in recorded:
        seen = one.x if one.mask is None else one.x.where(one.mask.unsqueeze(1), 0)
        if not all_finite((seen, one.cotangent)):
            raise ValueError(f"the ham {one.name!r} sees numbers or gradients that are not finite.")
    return recorded


def ham_problem(recorded: RecordedHam) -> HamProblem:
    """Return the decomposition that a call of a ham was, in float64."""
    ham, x, mask = recorded.ham, recorded.x.double(), recorded.mask
    columns, cotangent = (_columns(part, ham.heads) for part in (x, recorded.cotangent.double()))
    if mask is not None:
        mask = mask.flatten(1).repeat_interleave(ham.heads, dim=0)
        columns = columns.where(mask.unsqueeze(1), 0)
    start = ham.dictionary.detach().double()
    if ham.start == "learned":
        start = ham.solver.admissible(start)
    start = start.expand(len(x), -1, -1, -1).flatten(0, 1)
    if ham.over == "space":
        return HamProblem(columns, start, cotangent, mask)
    columns = columns.mT.contiguous()  # a channel a column; masked positions are zeros in each
    return HamProblem(columns, F.normalize(columns @ start, dim=-2), cotangent.mT.contiguous(), None)


def _columns(x: Tensor, heads: int) -> Tensor:
    return x.flatten(2).unflatten(1, (heads, -1)).flatten(0, 1).contiguous()


def _check_devices(network: nn.Module, arguments: tuple[Any, ...]) -> None:
    devices = {part.device for part in (*network.parameters(), *network.buffers())}
    for argument in arguments:
        if isinstance(argument, Tensor) and argument.device not in devices:
            there = " and ".join(sorted(map(str, devices)))
            raise ValueError(
                f"the batch is on {argument.device} and the network on {there}; move one of them."
            )


def _random_devices(network: nn.Module) -> list[torch.device]:
    return list({part.device for part in network.parameters() if part.device.type == "cuda"})


def _answer(network: nn.Module, arguments: tuple[Any, ...]) -> Any:
    try:
        return network(*arguments)
    except (RuntimeError, TypeError, LookupError) as error:
        shapes = [tuple(a.shape) if isinstance(a, Tensor) else type(a).__name__ for a in arguments]
        told = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"the network does not take this batch, of {shapes}: {told}") from error


def _loss_of(answer: Any, loss: Loss | None) -> Tensor:
    if loss is None:
        if not isinstance(answer, Tensor):
            raise ValueError(
                f"the network returns a {type(answer).__name__}, no tensor; give loss=, a function of it."
            )
        draw = torch.randn(answer.shape, generator=torch.Generator().manual_seed(0))
        return (answer * draw.to(answer.device, answer.dtype)).sum()
    value = loss(answer)
    if not isinstance(value, Tensor) or value.numel() != 1:
        told = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ValueError(f"loss must return a scalar tensor, got {told}; take its mean.")
    return value.reshape(())
