"""The best weights so far, and the evaluation that chose them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from subquad.engine.learner import Best, Learner
from subquad.models import save_model


class SaveBest(Callback):
    """Write `best.safetensors` whenever the score of the evaluation set is better than all before.

    The first of several equal scores keeps its place. As long as nothing that is labelled was evaluated
    there is no score (NaN), and the newest weights are written: they are better than none.

    Args:
        folder: Where to write.

    Attributes:
        best: The best score; -inf before.
        found: What chose the weights that are written; a `Learner` has it as `best`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "best.safetensors"
        self.best = -math.inf
        self.found: Best | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the learner what a run that is resumed had found."""
        assert isinstance(pl_module, Learner)
        pl_module.best = self.found

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare and write."""
        assert isinstance(pl_module, Learner)
        score = pl_module.score
        if trainer.sanity_checking or score is None:
            return
        is_scored = not math.isnan(score)
        if not (score > self.best if is_scored else self.best == -math.inf):
            return
        pl_module.refuse_not_finite()
        if is_scored:
            self.best = score
        self.found = Best(trainer.global_step, pl_module.score_text)
        pl_module.best = self.found
        if trainer.is_global_zero:
            save_model(pl_module.network, self.path)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best": self.best, "found": None if self.found is None else vars(self.found)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`; earlier runs did not say what chose."""
        self.best = state_dict["best"]
        found = state_dict.get("found")
        self.found = None if found is None else Best(**found)
