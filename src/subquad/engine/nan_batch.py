"""`nan_batch.pt`: all that it takes to repeat the pass in which training became NaN."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from subquad.base.files import write_whole
from subquad.base.pickles import load_plain
from subquad.base.suggest import and_more
from subquad.models.config_text import config_to_json

if TYPE_CHECKING:
    from subquad.engine.finite import Pass
    from subquad.engine.learner import Learner

FORMAT = 1
EVALUATION = "evaluation"  # the part that is no pass of training


@dataclass(frozen=True)
class NanBatch:
    """What the file holds, plain values and tensors alone.

    Attributes:
        format: 1.
        config: Of the network, as JSON of `subquad.models.config_text`.
        kind: Of the learner, by the names of `subquad.engine.replay`.
        options: Of the learner, as its `replay_options`.
        part: Which of several passes on one batch; "evaluation" if it was none of training.
        reason: What was not finite.
        precision: Lightning's name of it.
        scale: By which the loss was multiplied before the backward pass.
        step: Optimiser steps before.
        epoch: From 0.
        batch_index: Of the epoch, from 0.
        process: From 0.
        learning_rates: Of all groups of all optimisers.
        samples: Names, or numbers in their split.
        batch: As the network got it, on the CPU.
        random: States of the generators of random numbers before the pass, by kind of device.
        state: Weights and statistics before the pass.
    """

    format: int
    config: str
    kind: str
    options: dict[str, Any]
    part: str
    reason: str
    precision: str
    scale: float
    step: int
    epoch: int
    batch_index: int
    process: int
    learning_rates: list[float]
    samples: list[str]
    batch: dict[str, Any]
    random: dict[str, Tensor]
    state: dict[str, Tensor]


def sample_names(batch: Any) -> list[str]:
    """Return the names of a batch's samples, or their numbers in their split; [] if it holds neither."""
    if not isinstance(batch, dict):
        return []
    if "name" in batch:
        return [str(name) for name in batch["name"]]
    return [f"number {int(index)}" for index in batch.get("index", [])]


def names_of(batch: Any) -> str:
    """Return the first of `sample_names` in words."""
    names = sample_names(batch)
    return f"samples {and_more(names)}" if names else "samples without names"


def write_nan_batch(learner: Learner, done: Pass, reason: str, suffix: str = "") -> str:
    """Write the file into the folder of the run.

    Args:
        learner: In training.
        done: The pass.
        reason: What was not finite.
        suffix: Of the file's name, where several processes write one.

    Returns:
        The end of a sentence that tells of it.
    """
    if learner._trainer is None:
        return ""
    trainer = learner.trainer
    path = Path(trainer.default_root_dir) / f"nan_batch{suffix}.pt"
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    optimizers = trainer.optimizers
    content = NanBatch(
        format=FORMAT,
        config=config_to_json(learner.config),
        kind=learner.config.task,
        options=learner.replay_options(),
        part=done.part,
        reason=reason,
        precision=str(trainer.precision),
        scale=1.0 if scaler is None else float(scaler.get_scale()),
        step=done.step,
        epoch=done.epoch,
        batch_index=done.batch_index,
        process=learner.global_rank,
        learning_rates=[float(group["lr"]) for one in optimizers for group in one.param_groups],
        samples=sample_names(done.batch),
        batch={
            name: value.detach().cpu() if isinstance(value, Tensor) else value
            for name, value in done.batch.items()
        },
        random=done.random,
        state={name: tensor.cpu() for name, tensor in done.state.items()},
    )
    packed = io.BytesIO()
    torch.save(vars(content), packed)
    try:
        write_whole(path, packed.getvalue())
    except OSError as error:  # the sentence that stops training must not get lost
        return f"; {path} could not be written ({error.strerror})"
    return f"; `subquad replay {path}` repeats it"


def read_nan_batch(path: str | Path) -> NanBatch:
    """Read a file of `write_nan_batch`; nothing that it names is imported or run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give the nan_batch.pt of a run.")
    complaint = f"{path} is damaged or no nan_batch.pt of `subquad fit`"
    try:
        content = load_plain(path)
    except Exception as error:  # of a pickle of arbitrary bytes, anything
        why = str(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(f"{complaint} ({' '.join(why.split())[:100]}); copy it again.") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise ValueError(f"{complaint}; copy it again.")
    if content["format"] > FORMAT:
        raise ValueError(f"{path} is of a newer subquad (format {content['format']}); update subquad.")
    wrong = [name for name, is_right in _FIELDS.items() if not is_right(content.get(name))]
    if wrong or content.keys() != NanBatch.__dataclass_fields__.keys():
        raise ValueError(f"{complaint} ({(wrong or ['a surplus field'])[0]} is wrong); copy it again.")
    return NanBatch(**content)


def _of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _named(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, dict)
        and all(isinstance(name, str) and isinstance(item, kinds) for name, item in value.items())
    )


_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("config", "kind", "part", "reason", "precision"), _of(str)),
    **dict.fromkeys(("step", "epoch", "batch_index", "process", "format"), _of(int)),
    "scale": _of(float),
    "learning_rates": _list_of(float),
    "samples": _list_of(str),
    "options": _named(object),
    "batch": _named(Tensor, list),
    "random": _named(Tensor),
    "state": _named(Tensor),
}
