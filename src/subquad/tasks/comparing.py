"""`subquad compare`: runs side by side, and whether their differences are more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subquad.engine.bootstrap import FEW, Difference, paired_bootstrap
from subquad.engine.progress import duration
from subquad.engine.sample_counts import SampleCounts, class_scores
from subquad.engine.tables import percent
from subquad.models.cost import parameters_of
from subquad.tasks.runs import Run, count, kept_counts, open_network, open_run


@dataclass(frozen=True)
class Comparison:
    """What is known of several runs of one task.

    Attributes:
        runs: By the names that are shown; the others are compared with the first.
        counts: Of each run, sample by sample; {} if its task does not count.
        differences: Of each other run from the first; {} if its task does not count.
    """

    runs: Mapping[str, Run]
    counts: Mapping[str, SampleCounts]
    differences: Mapping[str, Difference]

    @property
    def first(self) -> str:
        """The name of the first."""
        return next(iter(self.runs))

    def options(self) -> list[tuple[str, list[Any]]]:
        """Return the options that are not the same in all runs, with the value in each."""
        found = []
        names = dict.fromkeys(name for run in self.runs.values() for name in (*run.options, *run.defaults))
        told = [run.differing() for run in self.runs.values()]
        for name in names:
            values = [run.options.get(name, run.defaults.get(name)) for run in self.runs.values()]
            if any(name in differing for differing in told) and any(value != values[0] for value in values):
                found.append((name, values))
        return found

    def overview(self) -> list[list[str]]:
        """Return what is known of each run, a row for each fact."""
        runs = list(self.runs.values())
        spent = [sum(session["seconds"] for session in run.sessions) for run in runs]
        unknown = "not recorded"
        rows = [
            ["best score", *(" ".join(run.score) if run.score else unknown for run in runs)],
            ["its step", *(unknown if run.best_step is None else f"{run.best_step:,}" for run in runs)],
            ["steps trained", *(unknown if run.step is None else f"{run.step:,}" for run in runs)],
            ["time of training", *(duration(seconds) if seconds else unknown for seconds in spent)],
            ["parameters", *(f"{parameters_of(run.config):,}" for run in runs)],
        ]
        if self.counts:
            values = (percent(counts.score()) for counts in self.counts.values())
            rows.append([f"{self.counts[self.first].metric} counted once more, %", *values])
        return rows

    def classes(self) -> list[list[Any]]:
        """Return the name of each class, the score in each run, and the others' less the first's."""
        if not self.counts:
            return []
        scores = [
            class_scores(counts.metric, counts.margins().sum(axis=0)) for counts in self.counts.values()
        ]
        columns = [*scores, *(values - scores[0] for values in scores[1:])]
        return [
            [name, *(float(column[index]) for column in columns)]
            for index, name in enumerate(self.counts[self.first].classes)
        ]

    def sentences(self) -> list[str]:
        """Say of each other run whether it is better or worse than the first, or whether that is chance."""
        return [self._sentence(name, found) for name, found in self.differences.items()]

    def _sentence(self, name: str, found: Difference) -> str:
        metric, what = self.counts[self.first].metric, self.runs[name].task.counts
        value, low, high = (f"{100 * number:+.2f}" for number in (found.value, found.low, found.high))
        verdict = "is larger than" if found.is_real else "may be"
        few = f", but the interval is too short with so few {what}" if found.samples < FEW else ""
        return (
            f"{name} against {self.first}: {value} points of {metric} (95 % interval {low} to {high}, "
            f"{found.p_words}, {found.samples:,} {what}). The difference {verdict} chance over {what}{few}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values; null stands for "not known"."""
        return {
            "task": next(iter(self.runs.values())).task.name,
            "runs": [
                {
                    "name": name,
                    "folder": str(run.folder),
                    "score": run.score and run.score[0],
                    "best_step": run.best_step,
                    "seconds": sum(session["seconds"] for session in run.sessions),
                    "parameters": parameters_of(run.config),
                    "options": {option: value for option, (value, _) in run.differing().items()},
                    "counted": None if not self.counts else self.counts[name].score(),
                }
                for name, run in self.runs.items()
            ],
            "differences": [
                {"run": name, "from": self.first, **asdict(found), "larger_than_chance": found.is_real}
                for name, found in self.differences.items()
            ],
            "classes": [
                {"name": name, "scores": [None if x != x else x for x in numbers[: len(self.runs)]]}
                for name, *numbers in self.classes()
            ],
        }


def compare(folders: Sequence[Path], samples: int, device: str) -> Comparison:
    """Compare runs with the first of them.

    Args:
        folders: Of runs that have been evaluated, two or more.
        samples: Of the evaluation set, where it was not looked at sample by sample yet, at most.
        device: Where networks work meanwhile.

    Raises:
        OSError: If a run or its data cannot be read.
        ValueError: If there are fewer than two runs, or they are of different tasks, classes or data.
    """
    if len(folders) < 2:
        raise ValueError(f"a comparison is of two runs or more, got {len(folders)}; name another folder.")
    runs = dict(zip(_names(folders), map(open_run, folders), strict=True))
    first = next(iter(runs.values()))
    for run in runs.values():
        if run.task.name != first.task.name:
            raise ValueError(
                f"{first.folder} is of the task {first.task.name}, {run.folder} of {run.task.name}; compare "
                f"runs of one task."
            )
    if not first.task.counts:
        return Comparison(runs, {}, {})
    counts = {name: _counts(run, samples, device) for name, run in runs.items()}
    (_, start), *others = counts.items()
    for name, other in others:
        refuse_other_samples(start, other, first.folder, runs[name].folder)
    margins = start.margins()
    differences = {name: paired_bootstrap(start.metric, margins, other.margins()) for name, other in others}
    return Comparison(runs, counts, differences)


def refuse_other_samples(first: SampleCounts, second: SampleCounts, here: Path, there: Path) -> None:
    """Raise ValueError unless two runs were asked the same: the same samples with the same truth."""
    if first.classes != second.classes:
        raise ValueError(
            f"{here} and {there} do not have the same classes ({_unlike(first.classes, second.classes)}); "
            "compare runs of the same classes."
        )
    if first.samples != second.samples:
        raise ValueError(
            f"{here} and {there} were evaluated on different data "
            f"({_unlike(first.samples, second.samples)}); compare runs on one evaluation set."
        )
    if not np.array_equal(first.margins()[:, 1], second.margins()[:, 1]):
        raise ValueError(
            f"{here} and {there} were evaluated on samples of the same names, but the labels are not the "
            f"same or not of the same size (--data.eval_size); compare runs on one evaluation set."
        )


def _counts(run: Run, samples: int, device: str) -> SampleCounts:
    kept = kept_counts(run)
    if kept is not None and len(kept.samples) == min(kept.of, samples):
        return kept
    return count(run, open_network(run, device), samples)


def _names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each folder: its own; its path where two have one name; numbered if it is twice."""
    own = [folder.resolve().name for folder in folders]
    names = [name if own.count(name) == 1 else str(folder) for name, folder in zip(own, folders, strict=True)]
    return [
        name if names.count(name) == 1 else f"{name} ({names[:index].count(name) + 1})"
        for index, name in enumerate(names)
    ]


def _unlike(first: Sequence[str], second: Sequence[str]) -> str:
    """Say where two lists begin to differ."""
    for here, there in zip(first, second, strict=False):
        if here != there:
            return f"such as {here[:60]!r} and {there[:60]!r}"
    return f"{len(first):,} and {len(second):,}"
