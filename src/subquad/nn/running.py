"""State that the forward passes of training move: once a step, however often they run.

A forward pass may run several times before the weights change: `torch.utils.checkpoint` repeats it in
the backward pass, and accumulated gradients are those of several micro-batches. The gradient is that of
the whole batch only if all these passes start from the same state; and the state moves as by one pass
over the whole batch only if repetitions move nothing and micro-batches are averaged.

A step ends with the step of any optimiser of `torch.optim`, and where a state is looked at as a whole:
saved, loaded, copied, evaluated. Two operators keep the account, because nothing else runs Python while
a compiled graph runs. There is an account for each tensor that is a state: a caller's own, as in
`torch.func.functional_call`, has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from subquad.nn.distributed import sum_over_processes

RUNNING_RATE = 0.9  # of the way to the newest mean

# Steps that have ended. A tensor, so that a compiled optimiser counts without being compiled anew.
_ended = torch.zeros((), dtype=torch.int64, device="cpu")


@dataclass(frozen=True)
class _Account:
    """What the forward passes of one step have done to one state."""

    owner: StorageWeakRef
    step: int  # how many had ended when this one began
    start: Tensor  # the state when it began
    mean: Tensor  # of what its forward passes found
    samples: Tensor  # how many samples that mean is of
    moved: Tensor  # what the state became; if it is anything else, somebody has set it since


_accounts: dict[int, _Account] = {}


def recomputing() -> bool:
    """Say whether this runs in a backward pass, where a checkpoint repeats its forward pass.

    False in what is being compiled, which cannot ask; there the compiler splits off what moves state.
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def end_step() -> None:
    """End the step: the next forward pass starts from what the ones before have left.

    Each optimiser of `torch.optim` does so. A loop that changes weights by other means calls it.
    """
    _ended.add_(1)


def end_step_of(state: Tensor) -> None:
    """End the step for one state: what it is now is all that the next forward pass starts from."""
    if _accounts and (account := _accounts.get(state.data_ptr())) is not None:
        # Kept for the recomputations that may come.
        _accounts[state.data_ptr()] = replace(account, step=-1)


@cache
def _listen_to_optimizers() -> None:
    register_optimizer_step_post_hook(lambda *_: end_step())


@torch.library.custom_op("subquad::start_of_step", mutates_args=())
def start_of_step(state: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the forward passes of this step start from, and the number of the account.

    A recomputation starts from what the latest forward pass started from.

    Args:
        state: Of training, any shape.

    Returns:
        A copy of the state as it was when the step began, and an integer for `move_once_a_step`.
    """
    _listen_to_optimizers()
    number, owner, step = state.data_ptr(), StorageWeakRef(state.untyped_storage()), int(_ended)
    account = _accounts.get(number)
    if account is not None and account.owner != owner:
        account = None
    if recomputing() and account is not None:
        start = torch.where((state == account.moved).all(), account.start, state)
        return start, torch.tensor(number, device="cpu")
    if account is None or account.step != step:
        for old in [old for old, other in _accounts.items() if other.owner.expired()]:
            del _accounts[old]
        precise = torch.promote_types(state.dtype, torch.float32)
        mean = torch.zeros_like(state, dtype=precise)
        account = _Account(owner, step, state.clone(), mean, mean.new_zeros(()), state.clone())
    untouched = (state == account.moved).all()
    start = torch.where(untouched, account.start, state)
    samples = torch.where(untouched, account.samples, 0)
    _accounts[number] = replace(account, start=start, samples=samples)
    return start.clone(), torch.tensor(number, device="cpu")


@start_of_step.register_fake
def _(state: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(state), torch.empty((), dtype=torch.int64, device="cpu")


@torch.library.custom_op("subquad::move_once_a_step", mutates_args=("state",))
def move_once_a_step(state: Tensor, number: Tensor, found: Tensor, samples: int) -> None:
    """Move a state of unit columns `RUNNING_RATE` of the way from the start of the step to a mean.

    The mean is that of what the forward passes of the step have found, weighted by their samples, and
    of all processes. A recomputation moves nothing, and what is not finite moves nothing.

    Args:
        state: (..., dim, rank), changed in place.
        number: Of the account.
        found: By this forward pass, a mean over its samples; the shape of the state.
        samples: Their number.
    """
    if recomputing():
        return
    account = _accounts[int(number)]
    found = found.to(account.mean.dtype, copy=True)
    found /= sum_over_processes(found)
    usable = found.isfinite().all()
    total = account.samples + torch.where(usable, samples, 0)
    mean = torch.where(usable, torch.lerp(account.mean, found, samples / total), account.mean)
    moved = F.normalize(torch.lerp(account.start.to(mean.dtype), mean, RUNNING_RATE), dim=-2)
    moved = torch.where(total > 0, moved.to(state.dtype), state)
    state.copy_(moved)
    _accounts[int(number)] = replace(account, mean=mean, samples=total, moved=moved)


@move_once_a_step.register_fake
def _(state: Tensor, number: Tensor, found: Tensor, samples: int) -> None:
    return None


@start_of_step.register_vmap
def _(info: Any, in_dims: tuple[int], state: Tensor) -> Any:
    """Many states at once share an account."""
    return start_of_step(state.movedim(in_dims[0], 0)), (0, None)


@move_once_a_step.register_vmap
def _(
    info: Any, in_dims: tuple[int | None, ...], state: Tensor, number: Tensor, found: Tensor, samples: int
) -> Any:
    """If there is one state for all, what is mapped over are further samples; many move by themselves."""
    of_state, _, of_found, _ = in_dims
    if of_state is None:
        assert of_found is not None
        move_once_a_step(state, number, found.mean(of_found), samples * info.batch_size)
    else:
        found = found.unsqueeze(0) if of_found is None else found.movedim(of_found, 0)
        state = state.movedim(of_state, 0)
        move_once_a_step(state, number, found.expand_as(state), samples)
    return None, None
