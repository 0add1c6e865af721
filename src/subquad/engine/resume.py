"""What a run must have in common with the one that it goes on with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from subquad.base.files import write_whole
from subquad.base.pickles import load_plain
from subquad.engine.generations import previous_of, put
from subquad.engine.learner import CONFIG_KEY
from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import plain_yaml, read_yaml
from subquad.models.config_text import config_from_json, config_to_json

RUN_KEY = "subquad_run"  # in a checkpoint to resume from
_NEEDED = (CONFIG_KEY, "state_dict", "loops", "optimizer_states", "lr_schedulers", "callbacks")

# The options that may differ when a run is resumed; they take effect. All others are refused by name. A
# task adds its own to `Parser.may_change`.
MAY_CHANGE = (
    # Where things are, how often they are written, and what is shown.
    "config", "output", "resume", "save_every", "trainer.log_every_n_steps",
    "trainer.enable_model_summary", "trainer.detect_anomaly",
    "trainer.enable_autolog_hparams", "trainer.num_sanity_val_steps",
    # Where the data lie: their fingerprint tells whether they are the same. The configuration of the
    # network is compared on its own.
    "data.root", "model.*",
    # How they are read, and on what the steps are computed. The number of processes is compared.
    "data.workers", "data.eval_batch_size", "trainer.accelerator", "trainer.devices*",
    "trainer.num_nodes", "trainer.strategy*", "trainer.benchmark", "trainer.deterministic",
    "trainer.inference_mode",
    # When training ends by the clock; and by its length, see `_may_change`.
    "trainer.max_time*", "trainer.limit_test_batches",
)  # fmt: skip
# The same, where the learning rate does not depend on them: the run so far is that of the longer one.
LENGTHS = ("trainer.max_epochs", "trainer.max_steps")


class RunOptions:
    """The options of a run, as they are saved, compared and shown.

    Args:
        p: The parser that they are of.
        values: What it returned.
    """

    def __init__(self, p: Parser, values: Any) -> None:
        self._parser, self._values = p, values

    def text(self) -> str:
        """Return them as a recipe."""
        return self._parser.dump(self._values, skip_unset=False)

    def flat(self) -> dict[str, Any]:
        """Return them by their full names, such as "optimizer.lr"."""
        return flat(plain_yaml(self.text()))

    def record(self, data: dict[str, str], processes: int, rate_depends_on_length: bool) -> RunRecord:
        """Return what a checkpoint says of the run with these options."""
        p = self._parser
        return RunRecord(self.flat(), data, processes, rate_depends_on_length, p.may_change, p.former)

    def defaults(self) -> dict[str, Any]:
        """Return what each is if it is not given."""
        return flat(plain_yaml(self._parser.dump(self._parser.get_defaults(), skip_unset=False)))


@dataclass(frozen=True)
class RunRecord:
    """What a checkpoint says of the run that wrote it.

    Attributes:
        options: By their full names.
        data: Fingerprints of the splits.
        processes: That train together.
        rate_depends_on_length: Whether the learning rate of a step depends on the number of steps.
        may_change: Options that may differ besides `MAY_CHANGE`.
        former: Options of earlier versions, with the values that changed nothing.
    """

    options: dict[str, Any]
    data: dict[str, str]
    processes: int
    rate_depends_on_length: bool
    may_change: Sequence[str] = ()
    former: Mapping[str, Any] = field(default_factory=dict)

    def refuse_other(self, theirs: Any, defaults: Mapping[str, Any], where: Path) -> None:
        """Raise ValueError if the run to go on with was another.

        Args:
            theirs: Of the checkpoint; options alone if it is of an older version.
            defaults: Of the options that it does not know.
            where: The checkpoint is, for the message.
        """
        options = {**defaults, **theirs["options"]} if theirs["options"] else {}
        wrong = [
            f"--{name} is {_shown(self.options.get(name))}, but the run was made with {_shown(value)}"
            for name, value in options.items()
            if self.options.get(name, self.former.get(name)) != value and not self._may_change(name)
        ]
        if theirs.get("processes", self.processes) != self.processes:
            wrong.append(
                f"there are {self.processes} processes (--trainer.devices), but the run was made with "
                f"{theirs['processes']}"
            )
        wrong += [
            f"the data of {split} (--data) are {self.data[split]}, but the run was made with {value}"
            for split, value in theirs.get("data", {}).items()
            if self.data.get(split, value) != value
        ]
        if wrong:
            lengths = [name for name in LENGTHS if any(text.startswith(f"--{name} ") for text in wrong)]
            why = f"; the learning rate depends on --{lengths[0]}" if lengths else ""
            raise ValueError(
                f"{'; '.join(wrong)}{why}: resume {where} with the options of config.yaml beside it, or "
                f"start from its weights with --model.weights and another --output."
            )

    def _may_change(self, name: str) -> bool:
        if name in LENGTHS:
            return not self.rate_depends_on_length
        if name == "data.eval_batch_size" and isinstance(self.options.get("trainer.limit_val_batches"), int):
            return False  # so many batches: which samples are evaluated depends on their size
        return name != "model.weights" and any(
            fnmatch(name, pattern) for pattern in (*MAY_CHANGE, *self.may_change)
        )


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


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of nested dictionaries by their full names."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}.{name}" if prefix else str(name))
    return found


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)


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
