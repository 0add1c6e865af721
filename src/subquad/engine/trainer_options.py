"""Lightning's options as plain values: names that are listed here, numbers, true, false and null.

Nothing here takes an object, so nothing in a recipe can name a class to import: profilers, plugins,
strategies and loggers of one's own are for Python, where their author is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from subquad.engine.options import add_optional
from subquad.engine.parsing import Parser

Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]
Strategy = Literal[
    "auto",
    "ddp",
    "ddp_find_unused_parameters_false",
    "ddp_find_unused_parameters_true",
    "fsdp",
]
PRECISIONS = (16, 32, 64, "16", "32", "64", "bf16")
TRUE_PRECISIONS = ("16-true", "bf16-true", "32-true", "64-true", "16-mixed", "bf16-mixed")
DURATION = r"\d{1,4}:\d{1,2}:\d{1,2}:\d{1,2}"


@dataclass
class TrainerOptions:
    """How Lightning's trainer works.

    Attributes:
        accelerator: Which kind of device.
        strategy: How several devices work together.
        devices: How many devices, -1 for all of them; or which, as a list or "0,1"; or "auto".
        num_nodes: Machines that train together.
        precision: "32-true", "bf16-mixed", "16-mixed", "64-true" and so on.
        fast_dev_run: Try one batch, or so many, of everything.
        max_epochs: Passes over the training set; -1 for any number.
        min_epochs: Passes that are made whatever happens.
        max_steps: Optimiser steps; -1 for any number.
        min_steps: Steps that are made whatever happens.
        max_time: Stop after so long, as days:hours:minutes:seconds, such as "00:12:00:00".
        limit_train_batches: Batches of an epoch, a whole number, or the share of them, 0.0 to 1.0.
        limit_val_batches: The same of an evaluation while training.
        limit_test_batches: The same of `subquad test`.
        overfit_batches: Train and evaluate on so many batches only.
        val_check_interval: Evaluate every so many steps, a whole number, or at this share of an epoch; or
            after so long, as days:hours:minutes:seconds.
        check_val_every_n_epoch: Evaluate after every so many epochs; null with a val_check_interval that
            counts steps across epochs.
        num_sanity_val_steps: Batches to evaluate before training.
        log_every_n_steps: Steps between two rows of the log.
        enable_model_summary: Print the parts of the network.
        accumulate_grad_batches: Batches whose gradients make one step.
        gradient_clip_val: Longest gradient; longer ones are shortened.
        gradient_clip_algorithm: By the norm of all, or each value.
        deterministic: Take only algorithms that give the same numbers again; "warn" where there is none.
        benchmark: Let cuDNN time its algorithms first.
        inference_mode: Evaluate under inference_mode rather than no_grad.
        detect_anomaly: Have autograd name the operation that made a NaN; slow.
        sync_batchnorm: Share the statistics of batch norm between processes.
        reload_dataloaders_every_n_epochs: Make the loaders anew after so many epochs; 0 for never.
        enable_autolog_hparams: Log hyperparameters when training starts.
    """

    accelerator: Accelerator = "auto"
    strategy: Strategy = "auto"
    devices: int | str | list[int] = "auto"
    num_nodes: int = 1
    precision: int | str | None = None
    fast_dev_run: bool | int = False
    max_epochs: int | None = None
    min_epochs: int | None = None
    max_steps: int = -1
    min_steps: int | None = None
    max_time: str | None = None
    limit_train_batches: int | float | None = None
    limit_val_batches: int | float | None = None
    limit_test_batches: int | float | None = None
    overfit_batches: int | float = 0.0
    val_check_interval: int | float | str | None = None
    check_val_every_n_epoch: int | None = 1
    num_sanity_val_steps: int | None = None
    log_every_n_steps: int | None = None
    enable_model_summary: bool | None = None
    accumulate_grad_batches: int = 1
    gradient_clip_val: int | float | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    deterministic: bool | Literal["warn"] | None = None
    benchmark: bool | None = None
    inference_mode: bool = True
    detect_anomaly: bool = False
    sync_batchnorm: bool = False
    reload_dataloaders_every_n_epochs: int = 0
    enable_autolog_hparams: bool = True


# The least that each whole number may be.
LEAST = {
    "num_nodes": 1,
    "max_epochs": -1,
    "min_epochs": 0,
    "max_steps": -1,
    "min_steps": 0,
    "check_val_every_n_epoch": 1,
    "num_sanity_val_steps": -1,
    "log_every_n_steps": 0,
    "accumulate_grad_batches": 1,
    "reload_dataloaders_every_n_epochs": 0,
    "fast_dev_run": 0,
    "gradient_clip_val": 0,
}
SHARES = ("limit_train_batches", "limit_val_batches", "limit_test_batches", "overfit_batches")
# What config.yaml held before, most of it Lightning's, with the values that change nothing.
FORMER = {
    "trainer.limit_predict_batches": None,
    "trainer.profiler": None,
    "trainer.barebones": False,
}
TRAINING_DEFAULTS = {
    "trainer.max_epochs": 100,
    "trainer.log_every_n_steps": 10,
    "trainer.num_sanity_val_steps": 0,
    "trainer.enable_model_summary": False,
}


def add_trainer_options(p: Parser, *, training: bool = True) -> None:
    """Add Lightning's options, of training with our defaults; of an evaluation `--device` as well."""
    p.add_class_arguments(TrainerOptions, "trainer", instantiate=False)
    p.former |= FORMER
    p.checks.append(lambda options: check_trainer(options.trainer))
    if training:
        p.set_defaults(TRAINING_DEFAULTS)
        return
    add_optional(p, "device", str, "Such as cpu or cuda:1: for --trainer.accelerator and --trainer.devices.")

    def check_device_alone(options: Any) -> None:
        others = [name for name in ("accelerator", "devices") if p.is_given(f"trainer.{name}")]
        if options.device is not None and others:
            raise ValueError(f"--device {options.device} and --trainer.{others[0]} say two things; give one.")

    p.checks.append(check_device_alone)


def check_trainer(trainer: Any) -> None:
    """Raise ValueError where a value is none that Lightning can work with.

    Args:
        trainer: The options by name.
    """
    for name, least in LEAST.items():
        value = trainer[name]
        if value is not None and value < least:
            raise ValueError(f"--trainer.{name} must be at least {least}, got {value}.")
    for unit in ("epochs", "steps"):
        least, most = trainer[f"min_{unit}"], trainer[f"max_{unit}"]
        if least is not None and most is not None and -1 < most < least:
            raise ValueError(
                f"--trainer.min_{unit} {least} is more than --trainer.max_{unit} {most}; change one."
            )
    for name in SHARES:
        _check_share(name, trainer[name])
    for name in ("limit_train_batches", "limit_test_batches"):
        if trainer[name] == 0:
            raise ValueError(f"--trainer.{name} 0 leaves nothing to do; give a number from 1 on, or a share.")
    _check_devices(trainer.devices, trainer.accelerator)
    interval = trainer.val_check_interval
    if isinstance(interval, str):
        _check_duration("val_check_interval", interval)
    elif interval is not None:
        _check_share("val_check_interval", interval)
        if interval == 0:
            raise ValueError(
                "--trainer.val_check_interval 0 would never evaluate; give a number of steps, or a share of "
                "an epoch up to 1.0."
            )
    if trainer.max_time is not None:
        _check_duration("max_time", trainer.max_time)
    known = (None, *PRECISIONS, *TRUE_PRECISIONS)
    if trainer.precision not in known:
        raise ValueError(
            f"--trainer.precision {trainer.precision} is unknown; give one of {', '.join(TRUE_PRECISIONS)}."
        )


def _check_share(name: str, value: int | float | None) -> None:
    """Raise ValueError unless a value is a number of batches or a share of them."""
    if value is not None and (value < 0 or (isinstance(value, float) and value > 1)):
        raise ValueError(
            f"--trainer.{name} is a whole number of batches, 0 or more, or a share of them, 0.0 to 1.0; "
            f"got {value}."
        )


def _check_devices(devices: int | str | list[int], accelerator: Accelerator) -> None:
    """Raise ValueError unless a value says how many devices, or which of several."""
    import torch

    if isinstance(devices, int):
        good = devices == -1 or devices >= 1
    elif isinstance(devices, str):
        good = devices in ("auto", "-1") or re.fullmatch(r"\d{1,4}(, ?\d{1,4})*,?", devices) is not None
        good = good and devices != "0"  # "0," and [0] are the first device; "0" is none
    else:
        good = bool(devices) and min(devices) >= 0 and len(set(devices)) == len(devices)
    if not good:
        raise ValueError(
            f"--trainer.devices {devices} means no device; give a number from 1 on, -1 for all of them, "
            f"[0, 1] for the first two, or auto."
        )
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    which = isinstance(devices, list) or (isinstance(devices, str) and "," in devices)
    if on_cpu and (which or devices in (-1, "-1")):
        raise ValueError(
            f"--trainer.devices {devices} is of GPUs, and this trains on the CPU; give a number of processes."
        )


def _check_duration(name: str, value: str) -> None:
    """Raise ValueError unless a value is a time as Lightning reads it."""
    if re.fullmatch(DURATION, value) is None:
        raise ValueError(
            f"--trainer.{name} {value!r} is no time as days:hours:minutes:seconds; give one such as "
            f"00:12:00:00 for twelve hours."
        )
