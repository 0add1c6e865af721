"""An end of training when nothing is gained any more."""

from __future__ import annotations

import math
import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from subquad.engine.learner import Learner
from subquad.engine.progress import is_first_process


class Patience(Callback):
    """End training after so many evaluations in a row without a better score.

    Args:
        evaluations: At least 1.

    Raises:
        ValueError: If there are fewer.
    """

    def __init__(self, evaluations: int) -> None:
        if evaluations < 1:
            raise ValueError(f"--patience is a number of evaluations, 1 or more; got {evaluations}.")
        self.evaluations = evaluations
        self.best, self.waited = -math.inf, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End at once a run that had ended, and goes on."""
        trainer.should_stop = trainer.should_stop or self.waited >= self.evaluations

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count; every process has the same score, so that all of them stop."""
        assert isinstance(pl_module, Learner)
        if trainer.sanity_checking or pl_module.score is None or math.isnan(pl_module.score):
            return
        better = pl_module.score > self.best
        self.best, self.waited = max(self.best, pl_module.score), 0 if better else self.waited + 1
        if self.waited >= self.evaluations and not trainer.should_stop:
            trainer.should_stop = True
            if is_first_process():
                sys.stdout.write(
                    f"training ends at step {trainer.global_step}: {self.waited} evaluations in a row were "
                    f"not better (--patience {self.evaluations})\n"
                )

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]
