"""What happens around training: files that are always whole, and a progress bar."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, TQDMProgressBar

from subquad.engine.learner import Learner
from subquad.engine.progress import Progress, duration, note
from subquad.engine.run_log import RATE
from subquad.models import save_model


class SaveFinal(Callback):
    """Write `last.safetensors`, the weights at the end of training, whatever their score."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "last.safetensors"

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them."""
        assert isinstance(pl_module, Learner)
        pl_module.refuse_not_finite()
        if trainer.is_global_zero:
            save_model(pl_module.network, self.path)


class LogRate(Callback):
    """Logs the learning rate of each step; of several groups or optimisers, the largest."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Log it."""
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        if rates:
            pl_module.log(RATE, float(max(rates)))


class Clock:
    """How long training took, and how long it will take at that rate.

    Attributes:
        first_step: The step at which it was started: a resumed run counts from where it resumes.
        steps: Of the whole training; None before it was started.
    """

    def __init__(self) -> None:
        self.first_step, self._begun = 0, time.monotonic()
        self.steps: float | None = None

    def start(self, trainer: Trainer) -> None:
        """Start anew. All processes must: the number of steps is found together."""
        self.first_step, self._begun = trainer.global_step, time.monotonic()
        self.steps = trainer.estimated_stepping_batches

    def spent(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._begun

    def left(self, trainer: Trainer) -> float:
        """Return the seconds to the end of training, infinite if that is not known."""
        steps = (math.inf if self.steps is None else self.steps) - trainer.global_step
        return self.spent() / max(1, trainer.global_step - self.first_step) * steps


class TimeLeft(TQDMProgressBar):
    """Lightning's progress bar, with the time left to the end of training."""

    def __init__(self, refresh_rate: int = 5) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._clock = Clock()

    def on_train_start(  # pyright: ignore[reportIncompatibleMethodOverride]  the base takes anything
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        """Start the clock; a resumed run counts from where it resumes."""
        super().on_train_start(trainer, pl_module)
        self._clock.start(trainer)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Add the time left to loss and score."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        if trainer.global_step > self._clock.first_step:
            metrics["left"] = duration(self._clock.left(trainer))
        return metrics


class EvaluatedBatches(Callback):
    """Notes at which batch an evaluation is."""

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note it."""
        note(_batch(batch_idx, trainer.num_val_batches[dataloader_idx]))

    def on_test_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note it."""
        note(_batch(batch_idx, trainer.num_test_batches[dataloader_idx]))


class PlainProgress(EvaluatedBatches):
    """A line at the start, after each evaluation and every ten seconds: for logs that are no terminals.

    Args:
        progress: Of training; it is told what to say.
    """

    def __init__(self, progress: Progress) -> None:
        self._clock = Clock()
        self._progress = progress

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and say that training begins."""
        self._clock.start(trainer)
        self._progress.line = lambda: self._line(trainer)
        if trainer.is_global_zero:
            begins = f"training on {pl_module.device} from step {self._step(trainer)} on"
            is_over = trainer.global_step >= (self._clock.steps or math.inf)
            self._progress.say(no_step_left(trainer) if is_over else begins)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have it said of an evaluation as well that follows no training."""
        self._progress.line = lambda: self._line(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print step, loss, score and the time left."""
        note("")
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        assert isinstance(pl_module, Learner)
        names = ("train/loss", "val/loss", pl_module.score_name)
        values = {name: float(metrics[name]) for name in names if name in metrics}
        scores = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        steps = self._clock.steps
        if steps is None:  # training had ended before
            self._progress.say(f"step {trainer.global_step}: {scores}")
            return
        spent, left = duration(self._clock.spent()), duration(self._clock.left(trainer))
        self._progress.say(f"step {self._step(trainer)}: {scores}, spent {spent}, left {left}")

    def _line(self, trainer: Trainer) -> str:
        """Return how far training is; the first step, which may compile, tells nothing of the rest."""
        line = f"at step {self._step(trainer)}"
        if self._progress.place:
            return f"{line}, evaluating {self._progress.place}"
        if trainer.global_step == self._clock.first_step:
            return f"{line} for {duration(self._clock.spent())}"
        return f"{line}, left {duration(self._clock.left(trainer))}"

    def _step(self, trainer: Trainer) -> str:
        steps = self._clock.steps
        if steps is None or math.isinf(steps):
            return str(trainer.global_step)
        return f"{trainer.global_step}/{int(steps)}"


def no_step_left(trainer: Trainer) -> str:
    """Return what is said of a run that goes on where it had ended."""
    return f"training had ended before, at step {trainer.global_step}: no step is left"


def _batch(index: int, count: float) -> str:
    return f"batch {index + 1}" + ("" if math.isinf(count) else f" of {int(count)}")


class ModelAverage(EMAWeightAveraging):
    """Lightning's moving average of the weights, in place until the evaluation is all over.

    Lightning takes the average out again before other callbacks can save it.
    """

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in place for those who save it."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the average out again."""
        super().on_validation_epoch_end(trainer, pl_module)
