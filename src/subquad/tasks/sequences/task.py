"""Sequences as the commands see them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.engine.classes import check_same_classes
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.options import add_compile, defaults_of
from subquad.engine.parsing import Parser
from subquad.engine.run import evaluate
from subquad.engine.trainer_options import add_trainer_options
from subquad.models import SequenceConfig, model_config
from subquad.tasks import Task
from subquad.tasks.sequences.data.options import SequenceOptions
from subquad.tasks.sequences.network import SequenceModelOptions, resolve
from subquad.tasks.sequences.scores import SequenceScores

if TYPE_CHECKING:
    from subquad.explain.explanation import Explanation
    from subquad.tasks.sequences.data.module import SequenceData
    from subquad.tasks.sequences.learner import SequenceLearner

FILES = ("data.file", "data.val_file", "data.test_file")
SAME_LENGTH = ("adding", "order", "image", "pathfinder")  # all sequences of these data


class Sequences(Task):
    """A class, or a value, for each sequence."""

    name = "sequences"
    default_model = "paramixer"
    formats = ("csv", "text", "image", "long_document", "genome", "listops", "pathfinder")
    predicts_by_run = True
    explains = "a sequence of a table (.csv, .tsv, .jsonl), FASTA or a .txt file"
    fit_defaults = {  # noqa: RUF012
        "optimizer.lr": 1e-3,
        "optimizer.exempt": "norms_and_biases",
        "optimizer.warmup_steps": 500,
        "optimizer.decay": "cosine",
        "trainer.gradient_clip_val": 1.0,
    }

    def add_fit_options(self, p: Parser) -> None:
        """Add network, data, optimiser and compilation."""
        p.add_class_arguments(SequenceModelOptions, "model")
        _add_data(p)
        p.add_class_arguments(OptimizerOptions, "optimizer")
        add_compile(p)
        p.usual += ["compile", *FILES]

    def older_defaults(self, saved: Mapping[str, Any], options: Any) -> dict[str, Any]:
        """Return what options were before values had units and links of their own."""
        data = saved.get("data")
        if not isinstance(data, dict) or "standard_units" in data:
            return {}
        named = model_config(options.model.name)
        as_named = {f"model.{name}": getattr(named, name) for name in ("norm", "start")}
        older = {name: value for name, value in as_named.items() if options[name] is None}
        return {"data.standard_units": False, **older}

    def open_data(self, options: Any, config: Any = None) -> SequenceData:
        """Open sequences; the seed is of made ones, and of the split."""
        from subquad.tasks.sequences.data.module import SequenceData
        from subquad.tasks.sequences.notes import check_unknown, tell_notes, tell_unknown

        data = SequenceData(dataclasses.replace(options.data, seed=options.seed))
        if config is None:
            tell_notes(data)
            tell_unknown(data, "test")
            check_unknown(data, "val")
        return data

    def configure(self, options: Any, data: Any) -> SequenceConfig:
        """Return the configuration for the length, the tokens or values, and the classes of the data."""
        return resolve(options.model, data)

    def learner(self, network: Any, data: Any, options: Any) -> SequenceLearner:
        """Return the network in training, compiled if that is asked for."""
        from subquad.tasks.sequences.learner import SequenceLearner

        if options.compile:
            # Widths that change from batch to batch are compiled once for all, not one after another.
            same = options.data.pad == "length" or options.data.name in SAME_LENGTH
            network.compile(dynamic=None if same else True)
        return SequenceLearner(network, options.optimizer, options.seed)

    def learner_of_replay(self, network: Any, options: Mapping[str, Any]) -> SequenceLearner:
        """Rebuild a learner."""
        from subquad.tasks.sequences.learner import SequenceLearner

        return SequenceLearner.for_replay(network, options)

    def add_test_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add data and trainer; those of the run are the defaults."""
        p.add_argument("--seed", type=int, default=0, help="Of made sequences and of the split.")
        _add_data(p)
        add_trainer_options(p, training=False)
        p.set_defaults(defaults_of(run) | {"seed": run.get("seed", 0)})
        p.usual += ["data.file", "data.test_file"]

    def check_fits(self, config: Any, data: Any, checkpoint: str) -> None:
        """Raise ValueError unless a network was trained on these classes, tokens or values."""
        check_same_classes(config, data.class_names, checkpoint)
        tokens = data.vocabulary.tokens if data.vocabulary else ()
        if config.token_names and tokens and config.token_names != tokens:
            other = next(
                i
                for i, pair in enumerate(zip(config.token_names, tokens, strict=False))
                if len(set(pair)) > 1
            )
            raise ValueError(
                f"{checkpoint} reads {len(config.token_names)} tokens, and number {other} is not "
                f"{tokens[other]!r} as in the data; give the data it was trained for."
            )
        if config.vocab_size != data.vocab_size or (data.in_features or 1) != config.in_features:
            theirs, ours = (
                f"{tokens} tokens" if tokens else f"{features} values at a position"
                for tokens, features in (
                    (config.vocab_size, config.in_features),
                    (data.vocab_size, data.in_features),
                )
            )
            raise ValueError(
                f"{checkpoint} reads {theirs}, the data has {ours}; evaluate on the data it was trained for."
            )

    def evaluate(self, network: Any, data: Any, options: Any) -> SequenceScores:
        """Return accuracy and F1, or the errors of values."""
        from subquad.tasks.sequences.learner import SequenceLearner
        from subquad.tasks.sequences.notes import check_unknown, tell_notes

        tell_notes(data)
        check_unknown(data, "test")
        return evaluate(SequenceLearner(network), data, options)

    def add_predict_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add which sequences, and how they are read; as in the run if it is not said."""
        from subquad.tasks.sequences.commands.predict import add_options

        add_options(p, run)

    def predict(self, network: Any, options: Any, run: Mapping[str, Any]) -> str:
        """Write a table with a row for each sequence."""
        from subquad.tasks.sequences.commands.predict import predict

        return predict(network, options, run)

    def add_explain_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add which sequence, and how it is read; as in the run if it is not said."""
        from subquad.tasks.sequences.commands.explain import add_options

        add_options(p, run)

    def explain(self, network: Any, options: Any, run: Mapping[str, Any]) -> Explanation:
        """Return the class, the influence of each position, and the links."""
        from subquad.tasks.sequences.commands.explain import explain

        return explain(network, options, run)

    def format_of(self, path: Path) -> str | None:
        """Return "csv" for a file: it is a table."""
        return "csv" if path.is_file() else None

    def add_check_options(self, p: Parser) -> None:
        """Add how the sequences are read."""
        from subquad.tasks.sequences.commands.check import LEFT_OUT

        p.add_class_arguments(SequenceOptions, None, skip=set(LEFT_OUT))

    def check_data(self, options: Any) -> Any:
        """Return a report of lengths, labels, unknown tokens and problems."""
        from subquad.tasks.sequences.commands.check import check

        return check(options)


def _add_data(p: Parser) -> None:
    p.add_class_arguments(SequenceOptions, "data", skip={"seed"})
    p.paths += ["data.root", *FILES]
    p.may_change += [*FILES, "compile"]


TASK = Sequences()
