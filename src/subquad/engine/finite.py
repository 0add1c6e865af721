"""Training stops at the first number that is none, before anything of it is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from subquad.base.finite import all_finite, not_finite
from subquad.engine.nan_batch import EVALUATION, names_of, write_nan_batch
from subquad.nn.distributed import sum_over_processes

if TYPE_CHECKING:
    from subquad.engine.learner import Learner

# A loss scaler begins with 2 ** 16 and halves it at each step that it skips: after 16 of them nothing is
# scaled any more, and the fault is not the scale's.
TOLERATED_SKIPS = 20

FINE, GRADIENT, LOSS = 0, 1, 2


@dataclass
class Pass:
    """A forward and a backward pass: what it takes to do it again.

    Attributes:
        part: Which of several passes on one batch; "" if there is but one.
        batch: As the network got it.
        epoch: From 0.
        batch_index: Of the epoch, from 0.
        step: Optimiser steps before it.
        random: State of the generators of random numbers before it, by kind of device.
        state: Weights and statistics before it, by name.
        loss: Maybe scaled; None before it is known.
        levels: FINE, GRADIENT or LOSS of each process, on the CPU or on its way there.
        arrived: What tells that `levels` have arrived; None if nothing is to be waited for.
        is_looked_at: Whether `levels` were read.
    """

    part: str
    batch: Any
    epoch: int
    batch_index: int
    step: int
    random: dict[str, Tensor]
    state: dict[str, Tensor]
    loss: Tensor | None = None
    levels: Tensor | None = None
    arrived: torch.cuda.Event | None = None
    is_looked_at: bool = False


@dataclass
class FiniteGuard:
    """Looks at losses, gradients, weights and evaluations of a `Learner`, whose hooks call it.

    On a CPU a pass is looked at before its optimiser step, so the weights stay finite. A GPU would have to
    be waited for: there it is looked at one pass later, when its numbers have long arrived, and the weights
    before it are kept until then. Whoever writes weights or evaluates calls `refuse` first, which waits.
    All processes of a run stop at the same step, with the weights from before the pass.
    """

    passes: deque[Pass] = field(default_factory=deque)
    skipped: dict[str, int] = field(default_factory=dict)  # by part, one after another
    evaluated: Pass | None = None  # the first batch of an evaluation whose outputs are not finite

    def begin(self, learner: Learner, batch: Any, batch_index: int, part: str = "") -> None:
        """Keep what it takes to do the pass again that begins; the seeds are set already."""
        current = dict(_state(learner))
        kept = None
        if len(self.passes) > self._lag(learner):
            kept = self.passes.popleft().state
        if kept is None or kept.keys() != current.keys():
            kept = {name: tensor.clone() for name, tensor in current.items()}
        else:
            _copy(kept, current)
        random = {"cpu": torch.get_rng_state()}
        if learner.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(learner.device)
        self.passes.append(
            Pass(part, batch, learner.current_epoch, batch_index, learner.global_step, random, kept)
        )

    def see_loss(self, loss: Tensor) -> None:
        """Remember the loss of the pass that goes on."""
        if self.passes:
            self.passes[-1].loss = loss.detach()

    @torch.no_grad()
    def see_gradients(self, learner: Learner) -> None:
        """Look at the pass whose backward pass is done, or have its numbers brought on a GPU."""
        if not self.passes:
            return
        done = self.passes[-1]
        assert done.loss is not None
        gradients = [parameter.grad for parameter in learner.parameters() if parameter.grad is not None]
        is_wrong = ~torch.nn.utils.get_total_norm(gradients).isfinite()  # 1, GRADIENT
        level = torch.where(done.loss.isfinite().all(), is_wrong.long(), LOSS)
        levels = torch.zeros(learner.trainer.world_size, dtype=torch.int64, device=learner.device)
        levels[learner.global_rank] = level
        sum_over_processes(levels)
        done.levels = levels
        if levels.device.type == "cuda":
            done.levels = torch.empty(levels.shape, dtype=levels.dtype, pin_memory=True)
            done.levels.copy_(levels, non_blocking=True)
            done.arrived = torch.cuda.Event()
            done.arrived.record()
        if len(self.passes) > self._lag(learner):
            self._look(learner, self.passes[-1 - self._lag(learner)])

    def refuse(self, learner: Learner, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Raise ValueError, on all processes, if a pass, a weight or a statistic is not finite.

        Args:
            learner: All its processes call this.
            tensors: What would be written; None takes all of the learner.
        """
        for done in list(self.passes):
            self._look(learner, done)
        wrong = not_finite(learner.state_dict() if tensors is None else tensors)
        culprits = _culprits(learner, bool(wrong))
        if culprits:
            what = f"weights such as {wrong[0]} are not finite" if wrong else "weights are not finite"
            last = self.passes[-1] if self.passes else None
            self._stop(learner, what, last, culprits, step=learner.global_step)

    def stop_in_backward(self, learner: Learner, what: str) -> NoReturn:
        """Raise ValueError for a backward pass that autograd stopped, on the process that it happened on.

        Args:
            learner: In training.
            what: Autograd says.
        """
        done = self.passes[-1] if self.passes else None
        if learner.trainer.world_size > 1:  # the others wait for its gradients, and cannot be asked
            raise ValueError(
                f"training became NaN by step {learner.global_step} ({what}); take {learner.remedies}."
            )
        self._stop(learner, what, done, [learner.global_rank])

    def begin_evaluation(self) -> None:
        """Forget the evaluation before."""
        self.evaluated = None

    def see_outputs(self, learner: Learner, batch: Any, batch_index: int, *outputs: Tensor) -> None:
        """Look at what a network says of a batch of an evaluation: the argmax of NaN is a class, too."""
        if self.evaluated is None and not all_finite(outputs):
            place = learner.current_epoch, batch_index, learner.global_step
            self.evaluated = Pass(EVALUATION, batch, *place, random={}, state={})

    def end_evaluation(self, learner: Learner) -> None:
        """Raise ValueError, on all processes, if an output of one of them was not finite."""
        culprits = _culprits(learner, self.evaluated is not None)
        if not culprits:
            return
        if learner._trainer is None or learner.trainer.state.fn != "fit":
            of = f" for {names_of(self.evaluated.batch)}" if self.evaluated else ""
            raise ValueError(
                f"the network gives numbers that are not finite{of}, so there is no score: look at the data, "
                f"evaluate with --trainer.precision 32-true, or take other weights."
            )
        if self.evaluated is not None:
            self.evaluated.state = {name: tensor.clone() for name, tensor in _state(learner)}
        self._stop(learner, "the outputs of the evaluation are not finite", self.evaluated, culprits)

    def _lag(self, learner: Learner) -> int:
        """Return after how many passes more one is looked at; a loss scaler waits at each step anyway."""
        return int(learner.device.type == "cuda" and _scaler(learner) is None)

    def _look(self, learner: Learner, done: Pass) -> None:
        if done.is_looked_at or done.levels is None:
            return
        if done.arrived is not None:
            done.arrived.synchronize()
        done.is_looked_at = True
        levels = done.levels.tolist()
        worst = max(levels)
        if worst == FINE:
            self.skipped[done.part] = 0
            return
        skipped = self.skipped[done.part] = self.skipped.get(done.part, 0) + 1
        # Nothing of the pass stays: a scaler leaves the weights alone, but the statistics of norms moved.
        for name, tensor in _state(learner):
            tensor.copy_(done.state[name])
        if (
            _scaler(learner) is not None
            and skipped <= TOLERATED_SKIPS * learner.trainer.accumulate_grad_batches
        ):
            return
        what = f"the {'loss' if worst == LOSS else 'norm of the gradients'} is not finite"
        self._stop(learner, what, done, [rank for rank, level in enumerate(levels) if level == worst])

    def _stop(
        self, learner: Learner, what: str, done: Pass | None, culprits: list[int], step: int | None = None
    ) -> NoReturn:
        """Write what it takes to do the pass again, where it went wrong; raise ValueError everywhere."""
        said = f"{what}; {_settings(learner)}"
        hint = ""
        if done is not None:
            said += f"; {names_of(done.batch)}"
            if learner.global_rank in culprits:
                is_first = learner.global_rank == culprits[0]
                hint = write_nan_batch(learner, done, what, "" if is_first else f"_{learner.global_rank}")
        # Who leaves first would have the others ended while they write.
        _culprits(learner, False)
        if step is None:
            step = learner.global_step if done is None else done.step
        raise ValueError(
            f"training became NaN by step {step} ({said}); the files written before are whole: start again "
            f"with {learner.remedies}, or look at the data{hint}."
        )


def _state(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    """Yield what a checkpoint would hold, without the hooks that make it slow."""
    for prefix, module in learner.named_modules():
        for store in (module._parameters, module._buffers):
            for name, tensor in store.items():
                if tensor is not None and name not in module._non_persistent_buffers_set:
                    yield f"{prefix}.{name}" if prefix else name, tensor.detach()


def _scaler(learner: Learner) -> Any:
    """Return the loss scaler of half precision; None if there is none."""
    return getattr(learner.trainer.precision_plugin, "scaler", None)


def _culprits(learner: Learner, is_mine: bool) -> list[int]:
    """Return the processes that say yes; each of them must call this."""
    if learner._trainer is None:
        return [0] if is_mine else []
    flags = torch.zeros(learner.trainer.world_size, dtype=torch.int64, device=learner.device)
    flags[learner.global_rank] = int(is_mine)
    sum_over_processes(flags)
    return flags.nonzero().flatten().tolist()


def _copy(into: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors by name; those of one type in one go, which a GPU does in a few kernels."""
    for kind in {tensor.dtype for tensor in tensors.values()}:
        names = [name for name, tensor in tensors.items() if tensor.dtype == kind]
        copy: Any = torch._foreach_copy_  # pyright: ignore[reportPrivateImportUsage]
        copy([into[name] for name in names], [tensors[name] for name in names])


def _settings(learner: Learner) -> str:
    """Return learning rates and precision in words."""
    if learner._trainer is None:
        return "no training"
    rates = {
        float(group["lr"]) for optimizer in learner.trainer.optimizers for group in optimizer.param_groups
    }
    words = " and ".join(f"{rate:.3g}" for rate in sorted(rates)) or "unknown"
    return f"learning rate {words}, precision {learner.trainer.precision}"
