"""A run that is told to end: it ends with the step it is at, so that nothing is lost."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from lightning.pytorch import Callback, LightningModule, Trainer

from subquad.base.interruption import PATIENCE, Interrupted, handle, name_of


class Interruption(Callback):
    """Takes Ctrl-C and SIGTERM while training, for `SaveLast` to write a checkpoint and to leave.

    A second signal, or one that no step answers in time, ends the run at once.

    Args:
        folder: Of the run, for the sentence that says how to go on.
        is_resumable: Whether its options are kept there, so that it can.

    Attributes:
        signum: The signal that came; 0 before.
        has_begun: Whether there was anything to train.
        saved_step: Of the checkpoint that is there; None if there is none.
    """

    def __init__(self, folder: str | Path, is_resumable: bool = True) -> None:
        self.folder, self.is_resumable = Path(folder), is_resumable
        self.signum, self.has_begun = 0, False
        self.saved_step: int | None = None
        self._tells, self._code = True, None
        self._launcher: Any = None
        self._again: threading.Timer | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals: Lightning has just taken them, and would leave with exit code 0."""
        self.has_begun, self.saved_step = True, trainer.global_step or None
        self._tells = trainer.is_global_zero
        self._launcher = trainer.strategy.launcher
        cluster: Any = getattr(self._launcher, "cluster_environment", None)
        if trainer.local_rank and cluster is not None and not cluster.creates_processes_externally:
            # Lightning started this process, and kills the first one where it sees another code.
            self._code: int | None = 0
        handle(self._handle)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remind nobody of a signal when the run is over."""
        self.forget()

    def forget(self) -> None:
        """Take it that the signal was answered."""
        if self._again is not None:
            self._again.cancel()

    def leave(self, signum: int = 0) -> NoReturn:
        """End the run with a sentence that says how to go on.

        Args:
            signum: The signal that another process got, if this one got none.
        """
        self.forget()
        signum = self.signum or signum
        raise Interrupted(signum, self._sentence(signum) if self._tells else "", self._code)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if kill := getattr(self._launcher, "kill", None):
            kill(signum)
        if self.signum:
            self.leave()
        self.signum = signum
        self._again = threading.Timer(PATIENCE, os.kill, (os.getpid(), signum))
        self._again.daemon = True
        self._again.start()

    def _sentence(self, signum: int) -> str:
        told = f"interrupted by {name_of(signum)}"
        if not self.is_resumable:
            return f"{told}; give the command again to start anew."
        if self.saved_step is None:
            return f"{told} before the first checkpoint; give the command again to start anew."
        return (
            f"{told}; {self.folder / 'last.ckpt'} is of step {self.saved_step}: go on with subquad fit "
            f"--config {self.folder / 'config.yaml'} --resume."
        )
