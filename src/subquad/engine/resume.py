"""Checkpoints that a run goes on from: reading them, and what each says of its run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from subquad.base.files import write_whole
from subquad.base.pickles import load_plain
from subquad.engine.generations import put
from subquad.engine.learner import CONFIG_KEY
from subquad.engine.plain_yaml import read_yaml
from subquad.engine.run_folder import previous_of
from subquad.engine.run_record import RunRecord, flat
from subquad.models.config_text import config_from_json, config_to_json

RUN_KEY = "subquad_run"  # in a checkpoint to resume from
_NEEDED = (CONFIG_KEY, "state_dict", "loops", "optimizer_states", "lr_schedulers", "callbacks")


class KeepRecord(Callback):
    """Writes the options to `config.yaml` when training begins, and the record into each checkpoint.

    Args:
        path: Of `config.yaml`.
        text: What is in it.
        record: Of this run.
    """

    def __init__(self, path: Path, text: str, record: RunRecord) -> None:
        self.path, self.text, self.record = path, text, record

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the options that are used from now on."""
        if trainer.is_global_zero:
            write_whole(self.path, self.text.encode())

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the record, as text: a checkpoint holds plain values alone."""
        checkpoint[RUN_KEY] = json.dumps(
            {"options": self.record.options, "data": self.record.data, "processes": self.record.processes}
        )


def prepare_resume(last: Path, learner: Any, record: RunRecord | None, defaults: Mapping[str, Any]) -> None:
    """See to it that `last.ckpt` can be resumed from by this run; take the generation before it if not.

    Args:
        last: The checkpoint.
        learner: What is trained.
        record: Of this run; None if its options are not known.
        defaults: Of the options.

    Raises:
        ValueError: If no generation can be read, or it is of another network or another run.
    """
    previous = previous_of(last)
    try:
        content, found = read_checkpoint(last), last
    except (OSError, ValueError) as error:
        if not previous.is_file():
            raise
        content, found = read_checkpoint(previous), previous
        sys.stderr.write(f"subquad fit: {_first(error)}; going on from {previous}, the one before it.\n")
    check_network(content, found, learner)
    if record is not None:
        record.refuse_other(_record_in(content, last), defaults, found)
    if found == previous:
        put(previous, last)


def check_resumable(checkpoint: Path, learner: Any) -> None:
    """Raise ValueError unless a checkpoint of Lightning is of the same network with the same options."""
    check_network(_read(checkpoint, (CONFIG_KEY,)), checkpoint, learner)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what is in a checkpoint to resume from.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is damaged, or no checkpoint of `subquad fit`.
    """
    return _read(path, _NEEDED)


def _read(path: Path, needed: tuple[str, ...]) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    try:
        content = load_plain(path)
        json.loads(content[CONFIG_KEY])
        missing = [name for name in needed if name not in content]
    except Exception as error:  # unpickling fails in any way
        why = str(error) if type(error) is ValueError else type(error).__name__
        raise _damaged(path, why) from error
    if missing:
        raise _damaged(path, f"it has no {missing[0]}")
    return content


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} is damaged or no checkpoint of `subquad fit` ({why}); choose another "
        f"--output, and start from the weights beside it if there are any (--model.weights)."
    )


def _first(error: Exception) -> str:
    return str(error).partition(";")[0]


def check_network(content: Mapping[str, Any], path: Path, learner: Any) -> None:
    """Raise ValueError unless a checkpoint is of the network in training.

    An option that the version of the checkpoint did not have has its default.
    """
    try:
        known = config_from_json(content[CONFIG_KEY], path)
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"its configuration, {error}") from error
    theirs, ours = (json.loads(config_to_json(config)) for config in (known, learner.config))
    if theirs["family"] != ours["family"]:
        theirs["config"], ours["config"] = ({"family": side["family"]} for side in (theirs, ours))
    theirs, ours = theirs["config"], ours["config"]
    wrong = [name for name in ours if theirs[name] != ours[name]]
    if wrong:
        raise ValueError(
            f"{path} is of another network: its {wrong[0]} is {theirs[wrong[0]]!r}, "
            f"not {ours[wrong[0]]!r}; resume with the options of config.yaml beside it, or choose "
            f"another --output."
        )


def _record_in(content: Mapping[str, Any], last: Path) -> dict[str, Any]:
    """Return the record of a checkpoint; of an older one without it, what config.yaml beside it says."""
    if RUN_KEY in content:
        try:
            record = json.loads(content[RUN_KEY])
            _ = dict(record["options"]), dict(record["data"]), int(record["processes"])
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged(last, f"its record, {type(error).__name__}") from error
        return record
    config = last.with_name("config.yaml")
    if not config.is_file():
        return {"options": {}}
    try:
        options = read_yaml(config)
    except (ValueError, OSError) as error:
        reason = str(error).removeprefix(f"{config} ").rstrip(".")
        raise ValueError(
            f"{config} is damaged ({reason}), and tells with which options {last} was "
            f"made; put the options right in it, or start from its weights in another --output."
        ) from error
    return {"options": flat(options)}
