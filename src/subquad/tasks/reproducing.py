"""Running an experiment: its trainings one by one, each a line of results, or its script."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from subquad.base.files import check_writable
from subquad.bench.environment import environment
from subquad.data.shared import data_folder
from subquad.engine.experiment import RESULTS, Experiment
from subquad.engine.experiment_results import (
    add_line,
    finite,
    is_of,
    key_of,
    last_values,
    of_case,
    read_lines,
    table_text,
)
from subquad.engine.learner import Learner
from subquad.engine.run_record import RunOptions
from subquad.models import load_model, model_config
from subquad.models.config_text import config_to_json
from subquad.tasks.asking import run_test
from subquad.tasks.choice import task_to_fit
from subquad.tasks.fitting import WEIGHTS, fit, fit_parser

SHARED = "$SUBQUAD_DATA"
PARTS = "parts.py"  # of an experiment: what it adds to a network before, and measures of it after training


def reproduce(
    experiment: Experiment,
    output: Path,
    cases: Sequence[str],
    seeds: Sequence[int] | None,
    *,
    quick: bool = False,
    run: bool = True,
) -> str:
    """Run what is missing of an experiment, and return its table.

    Args:
        experiment: Of `read_experiment`.
        output: File of results.
        cases: Of the experiment.
        seeds: Each case with each; None takes those of the experiment.
        quick: The version that shows in a minute or two that all of it runs; its numbers say nothing.
        run: Whether to run anything.

    Returns:
        The table in markdown.

    Raises:
        ValueError: If a script fails, or a training does.
    """
    if quick:
        shorter = {case: (*options, *experiment.quick) for case, options in experiment.cases.items()}
        experiment = replace(experiment, seeds=experiment.seeds[:1], cases=shorter, tables=())
    if run and experiment.script:
        run_script(experiment, output if quick else None)
        if quick:  # scripts write what they like
            return "It runs."
    elif run:
        run_cases(experiment, output, cases, seeds or experiment.seeds)
    lines = [] if experiment.tables else read_lines(output)
    return (
        table_text(experiment, lines) or f"No results yet: `subquad reproduce {experiment.name}` makes them."
    )


def run_cases(experiment: Experiment, output: Path, cases: Sequence[str], seeds: Sequence[int]) -> None:
    """Train what has no line in the results yet, and add one for each.

    A training that another experiment has done with the same recipe, options and seed is taken from there,
    if it has all that this one shows.

    Args:
        experiment: What to train.
        output: File of results.
        cases: Of the experiment.
        seeds: Each case with each.

    Raises:
        ValueError: If two cases are one training, or cannot be scored as the experiment says, before anything
            is trained; if trainings failed, after all others are done.
    """
    check_writable(output)
    parts = _parts(experiment)
    _check_cases(experiment, parts)
    commit = environment(torch.device("cpu")).commit  # of what runs; later ones may come meanwhile
    failed: list[str] = []
    for seed, case in itertools.product(seeds, cases):
        key = key_of(experiment, case, seed, case in getattr(parts, "ALTERED", ()))
        training = _Training(_arguments(experiment, key))
        key["settings"] = training.settings()
        if _is_done(experiment, output, case, key):
            continue
        known = _known_elsewhere(experiment, key) if output == experiment.results else None
        if known is not None:
            add_line(output, {**known, "case": case, "from": known.get("from", known["experiment"])})
            sys.stdout.write(f"{case}, seed {seed}: as in {known['experiment']}\n")
            continue
        told = [f"--config=recipes/{key['recipe']}", *training.arguments[1:]]
        sys.stdout.write(f"{case}, seed {seed}: subquad fit {' '.join(told)}\n")
        sys.stdout.flush()
        try:
            found = finite(_train(experiment, case, training, parts))
            if experiment.score not in found:
                raise ValueError(f"there is no {experiment.score!r} in what it measures: {', '.join(found)}.")
            if found[experiment.score] is None:
                raise ValueError(f"{experiment.score} is not finite, and so is no result.")
        except ValueError as error:  # one that diverges does not keep the others from being trained
            failed.append(f"{case}, seed {seed}: {error}")
            sys.stdout.write(f"{failed[-1]}\n")
            continue
        line = {"experiment": experiment.name, "case": case, **key, **found, "commit": commit}
        if _is_done(experiment, output, case, key):  # by another process meanwhile
            continue
        add_line(output, line)
        sys.stdout.write(f"{case}, seed {seed}: {experiment.score} {line[experiment.score]:.4g}\n")
        sys.stdout.flush()
    if failed:
        raise ValueError(f"of {experiment.name} failed {'; '.join(failed)}")


def _check_cases(experiment: Experiment, parts: ModuleType | None) -> None:
    """Raise ValueError if two cases are one training, or the weights to score would not be written."""
    if experiment.best and hasattr(parts, "alter"):
        raise ValueError(
            f"{experiment.name} scores the best weights (`best`), but those of a network that its {PARTS} "
            f"alters are not written; leave one of the two out."
        )
    alters, seen = getattr(parts, "ALTERED", ()), {}
    for case, options in experiment.cases.items():
        said = last_values((*experiment.options, *options))
        same = tuple(sorted(said.items())), case if case in alters else ""
        if same in seen:
            raise ValueError(
                f"the cases {seen[same]!r} and {case!r} of {experiment.name} have the same options and "
                f"so are one training; name what else differs in ALTERED of its {PARTS}."
            )
        seen[same] = case


def run_script(experiment: Experiment, output: Path | None) -> None:
    """Run the script of an experiment; its small version if `output` says where that may write.

    Raises:
        ValueError: If it fails.
    """
    given = experiment.script if output is None else experiment.quick_script
    script, *arguments = (str(output) if part == "OUTPUT" else part for part in given)
    command = [sys.executable, str(experiment.folder / script), *arguments]
    sys.stdout.write(f"{' '.join(['python', f'experiments/{experiment.name}/{script}', *arguments])}\n")
    sys.stdout.flush()
    code = subprocess.run(command).returncode
    if code:
        raise ValueError(f"{experiment.folder / script} ended with {code}; what it printed says why.")


class _Training:
    """The options of a training, parsed once.

    Args:
        arguments: Of `subquad fit`.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.arguments, self.task = arguments, task_to_fit(arguments)
        self.parser = fit_parser(self.task, arguments)
        self.given = self.parser.parse_args(arguments)
        self.saved = RunOptions(self.parser, self.given)

    def settings(self) -> str:
        """Return a digest of all that options, recipe and defaults say, wherever the data lie."""
        options = self.saved.flat()
        places = ("output", "config", "seed", "data.root", "data.file", "model.weights")
        said = {name: value for name, value in options.items() if name not in places}
        if name := options.get("model.name"):
            with suppress(ValueError):  # a network of the task's own, by another name
                said["named"] = config_to_json(model_config(name))
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _train(
    experiment: Experiment, case: str, training: _Training, parts: ModuleType | None
) -> dict[str, Any]:
    task, options = training.task, training.parser.instantiate(training.given)
    alter = getattr(parts, "alter", None)
    saved = training.saved if experiment.best else None
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learner = fit(task, options, folder, saved, alter=alter and (lambda network: alter(network, case)))
        seconds = round(time.monotonic() - begun, 1)
        scores = learner.scores.to_json()
        if experiment.best:
            last = {f"last_{experiment.score}": scores[experiment.score]}
            scores = _best_scores(learner, folder, options) | last
    found = {"seconds": seconds, **_scores(scores)}
    found["parameters"] = sum(weight.numel() for weight in learner.network.parameters())
    if (measure := getattr(parts, "measure", None)) is not None:
        found |= measure(learner, options)
    return found | environment(learner.trainer.strategy.root_device).provenance


def _best_scores(learner: Learner, folder: Path, options: Any) -> dict[str, Any]:
    """Score the best weights on the test set, and leave them in the network."""
    most = options.trainer.limit_test_batches  # which a run does not hand on to its test
    some = [] if most is None else [f"--trainer.limit_test_batches={most}"]
    run_test([str(folder), f"--json={folder / 'test.json'}", *some])
    learner.network.load_state_dict(load_model(folder / WEIGHTS).state_dict())
    return json.loads((folder / "test.json").read_text())


def _arguments(experiment: Experiment, key: dict[str, Any]) -> list[str]:
    recipe = experiment.folder.parents[1] / "recipes" / key["recipe"]
    options = key["options"]
    if any(SHARED in option for option in options):
        shared = str(data_folder("", None, who=experiment.name, give="files of yours"))
        options = [option.replace(SHARED, shared) for option in options]
    return [f"--config={recipe}", f"--seed={key['seed']}", *options]


def _scores(scores: dict[str, Any]) -> dict[str, Any]:
    """Return what scores say in numbers, and the numbers of classes."""
    numbers = {name: value for name, value in scores.items() if isinstance(value, int | float)}
    classes = {name: scores[name] for name in ("iou",) if isinstance(scores.get(name), dict)}
    return numbers | classes


def _parts(experiment: Experiment) -> ModuleType | None:
    """Import what the folder of an experiment adds, if it adds something."""
    path = experiment.folder.parent / (experiment.parts or experiment.name) / PARTS
    if experiment.parts and not path.is_file():
        raise ValueError(
            f"experiment {experiment.name} takes the parts of {experiment.parts}, which has no {PARTS}."
        )
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"subquad_experiment_{experiment.name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks there for its annotations
    spec.loader.exec_module(module)
    return module


def _is_done(experiment: Experiment, output: Path, case: str, key: dict[str, Any]) -> bool:
    """Say whether the line that tables show is of this training: an older one of other settings is not."""
    shown = of_case(experiment, read_lines(output), case)
    return any(is_of(line, key) for line in shown)


def _known_elsewhere(experiment: Experiment, key: dict[str, Any]) -> dict[str, Any] | None:
    wanted = {experiment.score, *(key.partition(" ")[0] for key in experiment.columns)}
    for path in sorted(experiment.folder.parent.glob(f"*/{RESULTS}")):
        if path == experiment.results:
            continue
        with suppress(ValueError):  # a damaged file of another experiment is told when that is asked for
            for line in read_lines(path):
                if is_of(line, key) and "experiment" in line and wanted <= line.keys():
                    return line
    return None
