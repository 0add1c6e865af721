"""What a task tells the commands: the protocol that `fit`, `test`, `predict` and the others iterate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from subquad.engine.data import RunData
    from subquad.engine.learner import Learner
    from subquad.engine.parsing import Parser
    from subquad.engine.plan import Plan
    from subquad.engine.sample_counts import SampleCounts
    from subquad.engine.scores import Scores
    from subquad.explain.explanation import Explanation
    from subquad.explain.report import Section
    from subquad.models import NetworkConfig


class Task(ABC):
    """One kind of work: its data, its networks, their training and what is asked of them.

    `options` are the parsed options of a command by name: those that every run has (`options.seed`,
    `options.output`, ...) and those that the task added. What a task calls wrong is a ValueError or an
    OSError in one sentence, which quotes what came in and tells the remedy.

    Attributes:
        name: As `--task` and the attribute `task` of a network's configuration have it.
        default_model: The network that is trained if none is named.
        formats: What `subquad data check --format` can look over.
        kept_of_run: The options of `fit` (or groups of them) that `test` and `predict` of its run read.
        predicts_by_run: Whether `predict` asks how the run of a network read its data.
        score_meaning: What its score says, in a sentence or two for those who never met it.
        counts: What `count_samples` tells evaluations by, one by one, such as "images"; "" if it cannot.
        fit_defaults: What options of training are if they are not given, where it is not as usual.
        generates: The command `subquad generate` of its networks, "package.module:function"; "" if they make
            nothing.
        explains: What `subquad explain` shows a network of it, such as "a picture"; "" if it explains none.
    """

    name: ClassVar[str]
    default_model: ClassVar[str]
    formats: ClassVar[tuple[str, ...]] = ()
    kept_of_run: ClassVar[tuple[str, ...]] = ("data", "model", "seed")
    predicts_by_run: ClassVar[bool] = False
    score_meaning: ClassVar[str] = ""
    counts: ClassVar[str] = ""
    fit_defaults: ClassVar[Mapping[str, Any]] = {}
    generates: ClassVar[str] = ""
    explains: ClassVar[str] = ""

    # subquad fit, in this order

    @abstractmethod
    def add_fit_options(self, p: Parser) -> None:
        """Add the groups `model`, `data` and `optimizer`, and what else training is told.

        What is a path is named in `p.paths`; what is wrong with a value is for `p.checks` to say.
        """

    def older_defaults(self, saved: Mapping[str, Any], options: Any) -> dict[str, Any]:
        """Return what options were, by their full names, in a run of before that does not name them.

        Args:
            saved: What config.yaml of the run that goes on says, by the names of today.
            options: As they are now.
        """
        return {}

    @abstractmethod
    def open_data(self, options: Any, config: NetworkConfig | None = None) -> RunData:
        """Open the data, and say on stderr what in them a user should know.

        Args:
            options: With the group `data`.
            config: Of the network that is evaluated on them; None opens them for training.

        Raises:
            FileNotFoundError: If something is not there.
            ValueError: If it cannot be understood, or teaches nothing.
        """

    @abstractmethod
    def configure(self, options: Any, data: Any) -> NetworkConfig:
        """Return the configuration of the network that is asked for, with what the data decide.

        Raises:
            ValueError: If it is a network for another task, or the data contradict an option.
        """

    @abstractmethod
    def learner(self, network: Any, data: Any, options: Any) -> Learner:
        """Return the network in training: losses, optimiser and metrics."""

    @abstractmethod
    def learner_of_replay(self, network: Any, options: Mapping[str, Any]) -> Learner:
        """Rebuild a learner from its `replay_options`.

        Raises:
            ValueError, TypeError, KeyError: If they are wrong.
        """

    def plan(self, options: Any, given: Mapping[str, Any]) -> Plan | None:
        """Return what is chosen from the data where nothing is said; None: the defaults are for all data.

        Args:
            options: As they are without a plan.
            given: Those that the user gave, by full names.
        """
        return None

    # subquad test

    @abstractmethod
    def add_test_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add the group `data`, and what else an evaluation is told.

        Args:
            p: The parser; `p.is_given(name)` tells whether an option is among the arguments.
            run: The options `kept_of_run` of the run whose folder is evaluated, to be the defaults; {} of
                a file.
        """

    @abstractmethod
    def check_fits(self, config: Any, data: Any, checkpoint: str) -> None:
        """Raise ValueError unless a network was trained for such data with these classes."""

    @abstractmethod
    def evaluate(self, network: Any, data: Any, options: Any) -> Scores:
        """Return the scores of a network on data."""

    # subquad convert

    def classes_of(self, source: str) -> dict[str, Any]:
        """Return options of a network that name its classes, `class_names` among them.

        Args:
            source: A file of class names, or the name of a published data set.
        """
        raise ValueError(f"networks of the task {self.name} take no file of classes; leave --classes out.")

    # subquad predict

    @abstractmethod
    def add_predict_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add what is predicted, `--output`, and what else a prediction is told; `run` as above."""

    @abstractmethod
    def predict(self, network: Any, options: Any, run: Mapping[str, Any]) -> str:
        """Predict, write files, and return a sentence that says what was written.

        Args:
            network: On its device.
            options: As they were parsed.
            run: As above.
        """

    # subquad explain

    def add_explain_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add what an explanation is told beside `input`, `model` and the files; `run` as above."""
        return

    def explain(self, network: Any, options: Any, run: Mapping[str, Any]) -> Explanation:
        """Return what a network makes of `options.input`; only of a task that `explains`.

        Args:
            network: On its device.
            options: As they were parsed.
            run: As above.
        """
        raise NotImplementedError

    # subquad report, subquad compare

    def count_samples(self, network: Any, data: Any, options: Any, most: int) -> SampleCounts:
        """Evaluate samples one by one; only of a task that `counts`.

        Args:
            network: On its device.
            data: Opened to be evaluated.
            options: Of `subquad test`.
            most: Samples, evenly spread over the evaluation set.
        """
        raise NotImplementedError

    def report_sections(
        self, network: Any, data: Any, options: Any, counts: SampleCounts
    ) -> Sequence[Section]:
        """Return what a report tells of this task alone; only of a task that `counts`.

        Args:
            network: As above.
            data: As above.
            options: As above.
            counts: What `count_samples` found.
        """
        return ()

    def same_data(self, run: Path) -> Sequence[str]:
        """Return options of `subquad fit` with which another run is evaluated on what this run was.

        What the weights of a run have seen in training must not evaluate a run that starts from them.

        Args:
            run: Its folder.
        """
        return ()

    def next_commands(self, run: str, data: Any) -> Sequence[tuple[str, Sequence[str]]]:
        """Return what can be done with a run that is evaluated, each with the arguments of `subquad`.

        Args:
            run: Its folder.
            data: Opened to be evaluated; None if they are not at hand.
        """
        return ()

    # subquad data check

    def format_of(self, path: Path) -> str | None:
        """Return in which of `formats` data are that are plainly of this task; None if that is not plain."""
        return None

    def add_check_options(self, p: Parser) -> None:
        """Add how the data at `path`, in `--format`, are to be read."""
        return

    def check_data(self, options: Any) -> Any:
        """Return a report of the data at `options.path`, as `subquad.engine.scores.DataReport`."""
        raise NotImplementedError

    # subquad data convert

    def convert_data(self, options: Any) -> str:
        """Write the data at `options.path` into the folder `options.output`, and say what was written.

        Args:
            options: Those of `add_check_options`, too.
        """
        raise ValueError(f"data of the task {self.name} are read as they are; there is nothing to convert.")
