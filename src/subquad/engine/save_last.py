"""When `last.ckpt` is written: often enough that little is lost, and only where a run can go on."""

from __future__ import annotations

import time
from pathlib import Path
from signal import SIGTERM
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from subquad.engine.generations import Generations
from subquad.engine.interruption import Interruption

SAVE_SECONDS = 60.0  # what a kill may cost at most, but for a step or an evaluation that takes longer


class SaveLast(Checkpoint):
    """Keep `last.ckpt`, from which a run resumes, up to date.

    It is written every so many steps, at least every minute, after each evaluation, where training
    ends, and when the run is told to end. Never before an evaluation that is due, which a resumed run
    would leave out, and never amid the gradients of a step. Where training ends by steps or by time, it
    can be taken up again in the middle of the epoch.

    Args:
        folder: Where to write.
        every_n_steps: Optimiser steps between two writes.
        interruption: Tells that the run is to end.

    Raises:
        ValueError: If `every_n_steps` is less than 1.
        OSError: While training, if the checkpoint cannot be written; the one before is whole.
    """

    def __init__(
        self, folder: str | Path, every_n_steps: int, interruption: Interruption | None = None
    ) -> None:
        if every_n_steps < 1:
            raise ValueError(f"--save_every must be at least 1, got {every_n_steps}.")
        self.path = Path(folder) / "last.ckpt"
        self.every_n_steps = every_n_steps
        self.interruption = interruption or Interruption(folder)
        self._files = Generations()
        self._step = self._saved_step = 0  # looked at last, written last
        self._saved_at = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let checkpoints be written our way, whichever strategy gathers them."""
        trainer.strategy.checkpoint_io = self._files

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from here: a resumed run has its checkpoint."""
        self._step = self._saved_step = trainer.global_step
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write if it is time."""
        step = trainer.global_step
        if step == self._step or _is_evaluated_next(trainer):
            return
        self._step = step
        is_due = step % self.every_n_steps == 0 or _is_last(trainer)
        is_late = time.monotonic() - self._saved_at >= SAVE_SECONDS
        # Clocks and signals differ between processes: one is enough. Lightning lets all of them wait for
        # each other at each batch as well.
        if is_due or _any_process(trainer, is_late or self.interruption.signum != 0):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write, so that an evaluation is not repeated, nor its best weights judged anew."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        self._step = trainer.global_step
        if _is_evaluated_next(trainer):  # in its turn, not because training is to end
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the end of training, if it came in a way that is not known here."""
        if self._saved_step != trainer.global_step:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        # Some strategies write without our files; those raise on their own.
        failure = trainer.strategy.broadcast(self._files.failure)
        if failure is not None:
            before = self.interruption.saved_step
            kept = (
                "there is none before it" if before is None else f"the one before, of step {before}, is whole"
            )
            raise OSError(
                f"{self.path} of step {trainer.global_step} cannot be written ({failure}); {kept}: make "
                f"room, then go on with --resume."
            )
        self.interruption.saved_step = self._saved_step = trainer.global_step
        self._saved_at = time.monotonic()
        if _any_process(trainer, self.interruption.signum != 0):
            self.interruption.leave(SIGTERM)


def _is_evaluated_next(trainer: Trainer) -> bool:
    """Say whether an evaluation is due after this batch, in its turn: Lightning alone decides.

    Not one that is made because training is to end: a run that is taken up again does without.
    """
    loop, stop = trainer.fit_loop, trainer.should_stop
    assert loop._data_fetcher is not None
    trainer.should_stop = False
    try:
        return loop.epoch_loop._should_check_val_fx(loop._data_fetcher) and not loop._should_accumulate()
    finally:
        trainer.should_stop = stop


def _is_last(trainer: Trainer) -> bool:
    """Say whether training ends with this batch."""
    loop = trainer.fit_loop
    by_steps = loop.max_steps not in (-1, None) and trainer.global_step >= loop.max_steps
    by_epochs = loop.max_epochs not in (-1, None) and trainer.current_epoch + 1 >= loop.max_epochs
    return trainer.should_stop or by_steps or (by_epochs and loop.epoch_loop._num_ready_batches_reached())


def _any_process(trainer: Trainer, said: bool) -> bool:
    return trainer.strategy.reduce_boolean_decision(said, all=False)
