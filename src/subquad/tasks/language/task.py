"""Text as the commands see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.options import add_compile, defaults_of
from subquad.engine.parsing import Parser
from subquad.engine.progress import note
from subquad.engine.run import evaluate
from subquad.engine.trainer_options import add_trainer_options
from subquad.models import LanguageConfig
from subquad.models.language.config import BEFORE_PHASES
from subquad.tasks import Task
from subquad.tasks.language.data.options import LanguageOptions
from subquad.tasks.language.data.tokens import tokens_of
from subquad.tasks.language.network import LanguageModelOptions, resolve
from subquad.tasks.language.scores import LanguageScores

if TYPE_CHECKING:
    from subquad.explain.explanation import Explanation
    from subquad.tasks.language.data.module import LanguageData
    from subquad.tasks.language.learner import LanguageLearner

FILES = ("data.file", "data.val_file", "data.test_file")


class Language(Task):
    """How a text goes on."""

    name = "language"
    default_model = "ham_lm_tiny"
    explains = "the end of a text file"
    generates = "subquad.tasks.language.commands.generate:main"
    score_meaning = (
        "Bits per byte: what a byte of text that was not trained on would cost, were it stored by what the "
        "network says of it. 8 is no idea at all, less is better; packing by xz takes 2 to 3 for English."
    )
    fit_defaults = {  # noqa: RUF012
        "optimizer.lr": 2e-3,
        "optimizer.betas": (0.9, 0.95),
        "optimizer.weight_decay": 0.1,
        "optimizer.exempt": "norms_and_biases",
        "optimizer.warmup_steps": 100,
        "optimizer.decay": "cosine",
        "trainer.gradient_clip_val": 1.0,
    }

    def add_fit_options(self, p: Parser) -> None:
        """Add network, data, optimiser and compilation."""
        p.add_class_arguments(LanguageModelOptions, "model")
        _add_data(p)
        p.add_class_arguments(OptimizerOptions, "optimizer")
        add_compile(p)
        p.usual += ["compile", *FILES, "data.context", "data.vocab_size", "model.pattern"]

    def older_defaults(self, saved: Mapping[str, Any], options: Any) -> dict[str, Any]:
        """Return what keys and their start were before there was a choice."""
        model = saved.get("model")
        if not isinstance(model, dict) or "memory_keys" in model:
            return {}
        older = {f"model.{name}": value for name, value in BEFORE_PHASES.items()}
        return {name: value for name, value in older.items() if options[name] is None}

    def open_data(self, options: Any, config: Any = None) -> LanguageData:
        """Open the text: of training and validation, or that of testing as a network reads it."""
        from subquad.tasks.language.data.module import LanguageData

        if config is None:
            return LanguageData(options.data, options.seed, note=note)
        tokens = tokens_of(config.tokens, config.tokenizer, "the network")
        return LanguageData(options.data, options.seed, ["test"], tokens, note)

    def configure(self, options: Any, data: Any) -> LanguageConfig:
        """Return the configuration for the tokens and the context of the data."""
        return resolve(options.model, data)

    def learner(self, network: Any, data: Any, options: Any) -> LanguageLearner:
        """Return the network in training, compiled if that is asked for."""
        from subquad.tasks.language.learner import LanguageLearner

        if options.compile:
            network.compile()
        if (told := data.texts.get("val")) is None:
            return LanguageLearner(network, options.optimizer, options.seed)
        return LanguageLearner(network, options.optimizer, options.seed, told.bytes_per_token, told.lossless)

    def learner_of_replay(self, network: Any, options: Mapping[str, Any]) -> LanguageLearner:
        """Rebuild a learner."""
        from subquad.tasks.language.learner import LanguageLearner

        return LanguageLearner.for_replay(network, options)

    def add_test_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add data and trainer; those of the run are the defaults."""
        p.add_argument("--seed", type=int, default=0, help="Without use: nothing here is random.")
        _add_data(p)
        add_trainer_options(p, training=False)
        p.set_defaults(defaults_of(run) | {"seed": run.get("seed", 0)})
        p.usual += ["data.file", "data.test_file", "data.context", "data.stride"]

    def check_fits(self, config: Any, data: Any, checkpoint: str) -> None:
        """Do nothing: a network brings its tokens, and any text is made of these."""

    def evaluate(self, network: Any, data: Any, options: Any) -> LanguageScores:
        """Return bits per byte, and the loss by position."""
        from subquad.tasks.language.learner import LanguageLearner

        data.test_dataloader()  # complains if there is no text of testing
        told = data.texts["test"]
        learner = LanguageLearner(network, bytes_per_token=told.bytes_per_token, lossless=told.lossless)
        return evaluate(learner, data, options)

    def add_predict_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add which documents."""
        from subquad.tasks.language.commands.predict import add_options

        add_options(p)

    def predict(self, network: Any, options: Any, run: Mapping[str, Any]) -> str:
        """Write a table of what each document costs."""
        from subquad.tasks.language.commands.predict import predict

        return predict(network, options)

    def add_explain_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add how much of the text is read."""
        from subquad.tasks.language.commands.explain import add_options

        add_options(p)

    def explain(self, network: Any, options: Any, run: Mapping[str, Any]) -> Explanation:
        """Return what comes next, and the influence of each token before it."""
        from subquad.tasks.language.commands.explain import explain

        return explain(network, options)

    def next_commands(self, run: str, data: Any) -> Sequence[tuple[str, Sequence[str]]]:
        """Return how to have it write, how to measure a longer context, and how to export it."""
        return [
            ("Have it write:", ["generate", run, "--prompt", "The ", "--tokens", "200"]),
            (
                "See what a longer past is worth:",
                ["test", run, "--data.context", "4096", "--data.eval_batch_size", "2"],
            ),
            ("Write it as ONNX, token by token:", ["export", run, "--output", str(Path(run) / "step.onnx")]),
        ]


def _add_data(p: Parser) -> None:
    p.add_class_arguments(LanguageOptions, "data")
    p.paths += ["data.root", "data.tokenizer", *FILES]
    p.may_change += [*FILES, "compile"]


TASK = Language()
