"""Keeps in `run.json` how far a run came, what it took, and which weights are the best."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

import subquad
from subquad.base.files import write_whole
from subquad.engine.learner import Learner
from subquad.engine.run_file import RUN_FILE, WRITER, read_run_file, sessions_of


class KeepRunFile(Callback):
    """Writes `run.json` after each evaluation and at the end, however training ends.

    Args:
        folder: Of the run; the sessions of a run that goes on are kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / RUN_FILE
        self._earlier: list[Any] = []
        self._first_step, self._begun, self._evaluating = 0, 0.0, 0.0
        self._evaluation_begun: float | None = None
        self._date = ""
        self._planned: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and find out what earlier sessions took; also once more if a run goes on."""
        self._first_step, self._begun, self._evaluating = trainer.global_step, time.monotonic(), 0.0
        self._date = datetime.now(UTC).isoformat(timespec="seconds")
        earlier = read_run_file(self.path.parent) if self._first_step else {}
        self._earlier = sessions_of(earlier)
        # Found together by all processes, of which one alone writes.
        planned = trainer.estimated_stepping_batches
        self._planned = None if math.isinf(planned) else int(planned)
        device = trainer.strategy.root_device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count evaluations apart: steps a second are those of training."""
        self._evaluation_begun = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write."""
        if self._evaluation_begun is not None:
            self._evaluating += time.monotonic() - self._evaluation_begun
            self._evaluation_begun = None
        self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write that nothing is left to do."""
        self._write(trainer, pl_module, ended=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what a run that is interrupted came to; what went wrong is told by others."""
        with suppress(OSError):
            self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, learner: LightningModule, *, ended: bool = False) -> None:
        if not self._begun or trainer.sanity_checking or not trainer.is_global_zero:
            return
        assert isinstance(learner, Learner)
        session = {
            "begun": self._date,
            "first_step": self._first_step,
            "last_step": trainer.global_step,
            "seconds": round(time.monotonic() - self._begun, 3),
            "evaluating_seconds": round(self._evaluating, 3),
            "processes": trainer.world_size,
            "precision": trainer.precision,
            "subquad": subquad.__version__,
            "torch": torch.__version__,
            **_device(trainer.strategy.root_device),
        }
        content = {
            "written_by": WRITER,
            "score": {"name": learner.score_name, "words": learner.score_words},
            "best": None if learner.best is None else vars(learner.best),
            "step": trainer.global_step,
            "planned_steps": self._planned,
            "ended": ended,  # not by a signal or an error
            "sessions": [*self._earlier, session],
        }
        write_whole(self.path, f"{json.dumps(content, indent=1)}\n".encode())


def _device(device: torch.device) -> dict[str, Any]:
    """Return the name of a device, and the most memory that was had: its own, or that of the process."""
    if device.type == "cuda":
        peak, name = torch.cuda.max_memory_allocated(device), torch.cuda.get_device_name(device)
        return {"device": name, "peak_memory": peak, "memory_of": "device"}
    return {"device": device.type, "peak_memory": _peak_of_process(), "memory_of": "process"}


def _peak_of_process() -> int | None:
    """Return the most bytes that this process had at once; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
