"""What a run must have in common with the one that it goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import plain_yaml

# The options that may differ when a run is resumed; they take effect. All others are refused by name. A
# task adds its own to `Parser.may_change`.
MAY_CHANGE = (
    # Where things are, how often they are written, and what is shown.
    "config", "output", "resume", "save_every", "report_samples", "trainer.log_every_n_steps",
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
        renamed = {old: told.instead for old, told in p.deprecated.items()}
        return RunRecord(
            self.flat(), data, processes, rate_depends_on_length, p.may_change, p.former, renamed
        )

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
        renamed: What options of earlier versions are called now.
    """

    options: dict[str, Any]
    data: dict[str, str]
    processes: int
    rate_depends_on_length: bool
    may_change: Sequence[str] = ()
    former: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def refuse_other(self, theirs: Any, defaults: Mapping[str, Any], where: Path) -> None:
        """Raise ValueError if the run to go on with was another.

        Args:
            theirs: Of the checkpoint; options alone if it is of an older version.
            defaults: Of the options that it does not know.
            where: The checkpoint is, for the message.
        """
        known = {self.renamed.get(name, name): value for name, value in theirs["options"].items()}
        options = {**defaults, **known} if known else {}
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
                f"{'; '.join(wrong)}{why}: resume {where} with the options of its run, subquad fit --config "
                f"{where.parent / 'config.yaml'} --resume, or start from its weights with that --config, "
                f"--model.weights and another --output."
            )

    def _may_change(self, name: str) -> bool:
        if name in LENGTHS:
            return not self.rate_depends_on_length
        if name == "data.eval_batch_size" and isinstance(self.options.get("trainer.limit_val_batches"), int):
            return False  # so many batches: which samples are evaluated depends on their size
        return name != "model.weights" and any(
            fnmatch(name, pattern) for pattern in (*MAY_CHANGE, *self.may_change)
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
