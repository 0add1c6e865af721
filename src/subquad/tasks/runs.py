"""The folder that `fit` wrote, as `subquad report` and `subquad compare` read it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subquad.data.fingerprint import fingerprint
from subquad.engine.checkpoints import checkpoint_path, move
from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import plain_yaml, read_yaml
from subquad.engine.progress import doing
from subquad.engine.run_file import read_run_file, sessions_of
from subquad.engine.run_log import RunLog, read_log
from subquad.engine.run_record import flat
from subquad.engine.sample_counts import COUNTS_FILE, SampleCounts, digest, load_counts
from subquad.models import NetworkConfig, load_model
from subquad.models.checkpoint import read_config
from subquad.tasks import Task, task_of
from subquad.tasks.asking import ask_parser, run_of
from subquad.tasks.fitting import fit_parser

LONGEST_VALUE = 200  # characters of an option in a table
PLACES = {"plan", "output", "config", "resume", "task", "report_samples"}  # tell nothing of what was trained


@dataclass(frozen=True)
class Run:
    """A run that has been evaluated.

    Attributes:
        folder: As it was given.
        task: Of the run.
        config: Of the network.
        options: Those of `fit`, by their full names.
        defaults: What they are if they are not given.
        told: What `run.json` says; {} without one.
        log: Losses and scores by step.
    """

    folder: Path
    task: Task
    config: NetworkConfig
    options: dict[str, Any]
    defaults: dict[str, Any]
    told: dict[str, Any]
    log: RunLog

    @property
    def weights(self) -> Path:
        """The best weights."""
        return checkpoint_path(str(self.folder))

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """What each session of training took."""
        return sessions_of(self.told)

    @property
    def best_step(self) -> int | None:
        """Steps before the evaluation that chose the best weights; None if that was not recorded."""
        best = self.told.get("best")
        step = best.get("step") if isinstance(best, dict) else None
        return step if isinstance(step, int) else None

    @property
    def step(self) -> int | None:
        """Steps that were trained; None if that was not recorded."""
        step = self.told.get("step")
        return step if isinstance(step, int) else None

    @property
    def score(self) -> tuple[str, str] | None:
        """What the best weights scored, and what that is a number of; None if it was not recorded."""
        best, score = self.told.get("best"), self.told.get("score")
        if not isinstance(best, dict) or not isinstance(score, dict) or not best.get("value"):
            return None
        return str(best["value"]), str(score.get("words", "score"))

    @property
    def score_column(self) -> str:
        """The column of the log that holds the score; "" if that was not recorded."""
        score = self.told.get("score")
        return f"val/{score.get('name')}" if isinstance(score, dict) else ""

    @property
    def is_unfinished(self) -> bool:
        """Whether training was interrupted, so that it can go on; what stopped early is finished."""
        return self.step is not None and self.told.get("ended") is False

    def differing(self) -> dict[str, tuple[Any, Any]]:
        """Return the options that are not as they are by default, each with the default."""
        return {
            name: (value, self.defaults.get(name))
            for name, value in self.options.items()
            if name not in PLACES and value != self.defaults.get(name)
        }


def short_value(value: Any) -> str:
    """Return an option as text for a table."""
    text = "not given" if value is None else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def open_run(folder: Path) -> Run:
    """Read what a run left.

    Raises:
        FileNotFoundError: If there is no such folder, or no evaluation has been made.
        ValueError: If it is no folder that `fit` wrote, or its files are damaged.
    """
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}; give one that `subquad fit` wrote.")
    options = folder / "config.yaml"
    if not options.is_file():
        raise ValueError(
            f"{folder} is no run: it has no config.yaml; give a folder that `subquad fit` wrote."
        )
    config = read_config(checkpoint_path(str(folder)))
    task = task_of(config)
    p = fit_parser(task)
    saved = p.by_new_names(read_yaml(options), note=False)
    return Run(
        folder,
        task,
        config,
        flat(saved),
        flat(plain_yaml(p.dump(p.get_defaults(), skip_unset=False))),
        read_run_file(folder),
        read_log(folder),
    )


@dataclass(frozen=True)
class Opened:
    """Network and data of a run, to look at them once more.

    Attributes:
        network: With the best weights, on its device.
        data: Those of its evaluations.
        options: Of `subquad test` on the run.
    """

    network: Any
    data: Any
    options: Any


def open_data(run: Run) -> tuple[Any, Any]:
    """Open the data that a run was evaluated on; they come with the options of `subquad test` on the run.

    Raises:
        OSError: If the data are not there any more.
        ValueError: If the data are others.
    """
    folder = str(run.folder)
    p: Parser = ask_parser("test", run.task, run_of(run.task, run.folder), [folder])
    options: Any = p.instantiate(p.parse_args())
    data = run.task.open_data(options, run.config)
    run.task.check_fits(run.config, data, folder)
    return data, options


def open_network(run: Run, device: str) -> Opened:
    """Load the best weights, and open the data that the run was evaluated on.

    Raises:
        OSError: If the data are not there any more.
        ValueError: If the data are others, or the device cannot be used.
    """
    network: Any = move(load_model(run.weights), device)
    return Opened(network, *open_data(run))


def count(run: Run, opened: Opened, most: int) -> SampleCounts:
    """Evaluate samples one by one, and keep what was found in `evaluation.npz` of the run.

    Args:
        run: The run.
        opened: Its network and data.
        most: Samples, evenly spread over the evaluation set.
    """
    with doing("looking at the evaluation set once more, sample by sample"):
        counts = run.task.count_samples(opened.network, opened.data, opened.options, most)
    counts = counts.of_weights(digest(run.weights), fingerprint(opened.data.datasets["test"]))
    counts.save(run.folder / COUNTS_FILE)
    return counts


def kept_counts(run: Run) -> SampleCounts | None:
    """Return what is kept of the run's best weights; None if nothing is, or it is of others.

    Nor is it if masks were corrected since. Where the data are not at hand, that is said.
    """
    try:
        counts = load_counts(run.folder / COUNTS_FILE)
    except (OSError, ValueError):
        return None
    if counts.weights != digest(run.weights):
        return None
    try:
        data, _ = open_data(run)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        sys.stderr.write(
            f"note: {run.folder / COUNTS_FILE} counts, though the data cannot be looked at any more "
            f"({reason}).\n"
        )
        return counts
    return counts if counts.data == fingerprint(data.datasets["test"]) else None
