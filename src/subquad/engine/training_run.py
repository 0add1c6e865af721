"""A training run from its first step, or from the one that it was interrupted at, to its end."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from subquad.base.allocation import keep_freed_memory
from subquad.data.fingerprint import fingerprint
from subquad.engine.best import SaveBest
from subquad.engine.callbacks import LogRate, ModelAverage, PlainProgress, SaveFinal, TimeLeft, no_step_left
from subquad.engine.data import RunData
from subquad.engine.interruption import Interruption
from subquad.engine.keep_run_file import KeepRunFile
from subquad.engine.learner import Learner
from subquad.engine.patience import Patience
from subquad.engine.progress import Progress, is_first_process
from subquad.engine.resume import KeepRecord, prepare_resume
from subquad.engine.run_folder import CHECKPOINT, is_resumable
from subquad.engine.run_record import RunOptions, RunRecord
from subquad.engine.save_last import SaveLast


def train(
    learner: Learner,
    data: RunData[Any],
    options: Any,
    folder: Path,
    progress: Progress,
    given: RunOptions | None = None,
    *,
    saves: bool = True,
) -> Path:
    """Train, or continue the run that the folder holds.

    Args:
        learner: What is trained.
        data: Its batches.
        options: Those of `add_run_options` and `add_trainer_options`.
        folder: For `best.safetensors`, `last.safetensors`, `last.ckpt`, `config.yaml` and `logs`.
        progress: Says how far it is, where no bar does.
        given: All options, to be saved, and compared with those of the run that is continued; None
            leaves that out.
        saves: Whether weights are written; those of a network that is not what its configuration builds
            cannot be.

    Returns:
        The CSV file of losses and metrics by step.

    Raises:
        ValueError: If nothing would be trained, or the run in the folder is another.
    """
    keep_freed_memory()
    csv = CSVLogger(folder, "logs", flush_logs_every_n_steps=10)
    interruption = Interruption(folder, is_resumable=given is not None)
    loggers = [csv, TensorBoardLogger(folder, "logs", version=csv.version)]
    trainer = _trainer(learner, options, folder, loggers, interruption, progress, saves)
    _check_length(trainer)
    is_evaluated = trainer.limit_val_batches != 0
    if is_evaluated:
        data.val_dataloader()  # what is wrong with it is told now, not after hours
    resumed = folder / CHECKPOINT if is_resumable(folder) else None
    record = None
    if given is not None:
        record = _record(given, data, options, trainer)
        trainer.callbacks.insert(0, KeepRecord(folder / "config.yaml", given.text(), record))
    if resumed and is_first_process():
        prepare_resume(resumed, learner, record, given.defaults() if given else {})
    try:
        trainer.fit(learner, data, ckpt_path=resumed, weights_only=True)
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        if interruption.signum:  # a loader that was only just started died of the signal, too
            interruption.leave()
        if "returned nan values" in str(error):  # of --trainer.detect_anomaly, whose warning tells where
            learner.guard.stop_in_backward(learner, str(error).partition("\n")[0].rstrip("."))
        if resumed is None or interruption.has_begun or isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(
            f"{resumed} cannot be resumed from ({type(error).__name__}: {error}); it is damaged: delete it, "
            f"and the run goes on from the one before it if there is one."
        ) from error
    finally:
        _end_others(trainer)
    if not interruption.has_begun:  # resumed at the very end
        if is_first_process():
            sys.stdout.write(f"{no_step_left(trainer)}\n")
        _finish(trainer, learner)
    if is_evaluated and (learner.score is None or learner.scored_step < trainer.global_step):
        trainer.validate(learner, data, verbose=False)  # of the last steps, or of what a process before left
        if learner.score is None:  # the best weights would be missed after hours, and nobody told why
            raise ValueError(
                f"{type(learner).__name__} sets no `score` at the end of an evaluation, which decides which "
                f"weights are the best; set it in on_validation_epoch_end."
            )
    _tell_time(trainer)
    return Path(csv.log_dir) / "metrics.csv"


def _record(given: RunOptions, data: RunData[Any], options: Any, trainer: Trainer) -> RunRecord:
    found = {name: fingerprint(split) for name, split in data.datasets.items() if name != "test"}
    depends = getattr(options.optimizer, "depends_on_length", False)
    return given.record(found, trainer.world_size, depends)


def _check_length(trainer: Trainer) -> None:
    """Raise ValueError if there would be no step of training."""
    limits = {"max_epochs": trainer.max_epochs, "max_steps": trainer.max_steps}
    for name, limit in {**limits, "limit_train_batches": trainer.limit_train_batches}.items():
        if limit == 0:
            raise ValueError(f"--trainer.{name} 0 trains nothing; give another, or use `subquad test`.")


def _end_others(trainer: Trainer) -> None:
    """End the processes that Lightning started, if this one ends while they train."""
    kill = getattr(trainer.strategy.launcher, "kill", None)
    if kill is not None and not trainer.state.finished:
        kill(signal.SIGTERM)


def _finish(trainer: Any, learner: Learner) -> None:
    """Do what Lightning leaves out where no step is left: the average takes its place, and is saved."""
    for callback in trainer.callbacks:
        if isinstance(callback, ModelAverage | SaveFinal):
            callback.on_train_end(trainer, learner)


def _tell_time(trainer: Any) -> None:
    """Say if training ended by the clock."""
    for timer in trainer.callbacks:
        left = timer.time_remaining() if isinstance(timer, Timer) else None
        if left is not None and left <= 0 and is_first_process():
            sys.stdout.write(
                f"training ended by --trainer.max_time at step {trainer.global_step}; it goes on with "
                f"--resume and a longer --trainer.max_time, which counts the time before, too.\n"
            )


def _trainer(
    learner: Learner,
    options: Any,
    folder: Path,
    loggers: list[Any],
    interruption: Interruption,
    progress: Progress,
    saves: bool,
) -> Any:
    callbacks: list[Callback] = [interruption]
    if saves:
        callbacks += [SaveBest(folder), SaveLast(folder, options.save_every, interruption)]
    if options.patience is not None:
        callbacks.append(Patience(options.patience))
    callbacks.append(PlainProgress(progress) if progress.beats else TimeLeft())
    if options.ema is not None and not learner.averages:
        if not 0 < options.ema < 1:
            raise ValueError(f"--ema is a decay between 0 and 1, such as 0.999; got {options.ema}.")
        callbacks.append(ModelAverage(decay=options.ema))
    callbacks.append(LogRate())
    if saves:
        callbacks.append(KeepRunFile(folder))  # behind what finds the best
        callbacks.append(SaveFinal(folder))  # when the moving average has taken the weights' place
    trainer = Trainer(
        **{**options.trainer.as_dict(), "strategy": learner.strategy(options.trainer)},
        logger=loggers,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_checkpointing=saves,
        enable_progress_bar=not progress.beats,
        use_distributed_sampler=False,
    )
    check_sync_batchnorm(trainer, options.trainer.sync_batchnorm)
    return trainer


def check_sync_batchnorm(trainer: Trainer, wanted: bool) -> None:
    """Raise ValueError if statistics are to be shared by processes on a CPU: PyTorch cannot."""
    if wanted and trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        raise ValueError(
            f"--trainer.sync_batchnorm true with {trainer.world_size} processes on the CPU: PyTorch shares "
            f"the statistics of batch norm on GPUs only; leave it out, or train with --trainer.devices 1."
        )
