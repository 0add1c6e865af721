"""Classification of pictures as the commands see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.base.limits import PICTURE_PIXELS
from subquad.engine.classes import check_same_classes
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.options import add_optional, defaults_of
from subquad.engine.parsing import Parser
from subquad.engine.run import evaluate
from subquad.engine.trainer_options import add_trainer_options
from subquad.models import ClassifierConfig
from subquad.tasks import Task
from subquad.tasks.classification.data.options import PictureOptions
from subquad.tasks.classification.mixing import MixOptions
from subquad.tasks.classification.network import ClassifierOptions, resolve
from subquad.tasks.classification.scores import ClassificationScores

if TYPE_CHECKING:
    from subquad.engine.sample_counts import SampleCounts
    from subquad.explain.explanation import Explanation
    from subquad.explain.report import Section
    from subquad.tasks.classification.data.module import ClassificationData
    from subquad.tasks.classification.learner import ClassificationLearner


class Classification(Task):
    """A class for each picture."""

    name = "classification"
    default_model = "conv_tiny"
    formats = ("class_folder", "cifar10", "fashion_mnist")
    counts = "images"
    explains = "a picture"
    score_meaning = "Top-1 accuracy: the share of pictures whose likeliest class is the right one."
    fit_defaults = {  # noqa: RUF012
        "optimizer.lr": 1e-3,
        "optimizer.weight_decay": 0.05,
        "optimizer.exempt": "norms_and_biases",
        "optimizer.warmup_steps": 500,
        "optimizer.decay": "cosine",
    }

    def add_fit_options(self, p: Parser) -> None:
        """Add network, data, what a step mixes, and optimiser."""
        p.add_class_arguments(ClassifierOptions, "model")
        _add_data(p)
        p.add_class_arguments(MixOptions, "mix")
        p.add_class_arguments(OptimizerOptions, "optimizer")
        p.usual += ["model.backbone", "model.context", "data.size", "data.val_fraction", "mix.mixup"]

    def open_data(self, options: Any, config: Any = None) -> ClassificationData:
        """Open pictures: both splits for training, else those that are evaluated."""
        from subquad.tasks.classification.data.module import ClassificationData

        if config is None:
            return ClassificationData(options.data, options.seed)
        return ClassificationData(
            options.data,
            options.seed,
            training=False,
            channels=config.in_channels,
            size=config.image_size,
            crop_ratio=config.crop_ratio,
            interpolation=config.interpolation,
        )

    def configure(self, options: Any, data: Any) -> ClassifierConfig:
        """Return the configuration for the classes, the size and the channels of the data."""
        return resolve(options.model, data)

    def learner(self, network: Any, data: Any, options: Any) -> ClassificationLearner:
        """Return the network in training."""
        from subquad.tasks.classification.learner import ClassificationLearner

        return ClassificationLearner(network, options.optimizer, options.seed, mix=options.mix)

    def learner_of_replay(self, network: Any, options: Mapping[str, Any]) -> ClassificationLearner:
        """Rebuild a learner."""
        from subquad.tasks.classification.learner import ClassificationLearner

        return ClassificationLearner.for_replay(network, options)

    def add_test_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add data and trainer; those of the run are the defaults."""
        p.add_argument("--seed", type=int, default=0, help="Of what is held out by --data.val_fraction.")
        _add_data(p)
        add_trainer_options(p, training=False)
        p.set_defaults(defaults_of(run) | {"seed": run.get("seed", 0)})

    def check_fits(self, config: Any, data: Any, checkpoint: str) -> None:
        """Raise ValueError unless a network was trained on these classes."""
        check_same_classes(config, data.class_names, checkpoint)

    def evaluate(self, network: Any, data: Any, options: Any) -> ClassificationScores:
        """Return accuracies and the confusion of classes."""
        from subquad.tasks.classification.learner import ClassificationLearner

        return evaluate(ClassificationLearner(network), data, options)

    def classes_of(self, source: str) -> dict[str, Any]:
        """Return the names in a file, one a line."""
        from subquad.tasks.classification.data.names import read_names

        return {"class_names": read_names(source)}

    def add_predict_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add pictures; how they are presented, the network knows."""
        from subquad.tasks.classification.commands.predict import add_options

        add_options(p)

    def predict(self, network: Any, options: Any, run: Mapping[str, Any]) -> str:
        """Write a table with a row for each picture."""
        from subquad.tasks.classification.commands.predict import predict

        return predict(network, options)

    def add_explain_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add the pixel."""
        from subquad.tasks.classification.commands.explain import add_options

        add_options(p)

    def explain(self, network: Any, options: Any, run: Mapping[str, Any]) -> Explanation:
        """Return the class, code maps, residual, spectrum, and the context of a pixel."""
        from subquad.tasks.classification.commands.explain import explain

        return explain(network, options)

    def count_samples(self, network: Any, data: Any, options: Any, most: int) -> SampleCounts:
        """Return which class each picture was told to be."""
        from subquad.tasks.classification.report import count_pictures

        return count_pictures(network, data, most)

    def report_sections(
        self, network: Any, data: Any, options: Any, counts: SampleCounts
    ) -> Sequence[Section]:
        """Return classes, confusions and the most certain mistakes."""
        from subquad.tasks.classification.report import sections

        return sections(network, data, counts)

    def next_commands(self, run: str, data: Any) -> Sequence[tuple[str, Sequence[str]]]:
        """Return prediction of a picture of the evaluation, if it is a file, and export."""
        commands = [("Write it for onnxruntime, checked:", ["export", run, "--output", f"{run}/model.onnx"])]
        if files := getattr(data and data.datasets["test"], "files", None):
            told = "Predict pictures, here one of the evaluation; give a folder of yours in its place:"
            picture, output = str(Path(files[0]).resolve()), f"{run}/predictions.csv"
            commands.insert(0, (told, ["predict", run, picture, "--output", output]))
        return commands

    def format_of(self, path: Path) -> str | None:
        """Return "class_folder" for a folder that plainly is one."""
        from subquad.tasks.classification.data.layout import is_class_folder

        return "class_folder" if is_class_folder(path) else None

    def add_check_options(self, p: Parser) -> None:
        """Add which splits are looked over, and how many pictures of each."""
        from subquad.tasks.classification.data.layout import SPLITS

        p.add_argument("--splits", type=str, nargs="+", default=[*SPLITS], help="Those that are there.")
        add_optional(p, "samples", int, "Pictures to read of each split; all if not given.")
        p.add_argument("--max_pixels", type=int, default=PICTURE_PIXELS, help="Refuse pictures of more.")

    def check_data(self, options: Any) -> Any:
        """Return a report of classes, sizes, broken and repeated pictures."""
        from subquad.tasks.classification.data.check import check_pictures

        return check_pictures(
            options.path, options.format, options.splits, options.samples, options.max_pixels
        )


def _add_data(p: Parser) -> None:
    p.add_class_arguments(PictureOptions, "data")
    p.paths.append("data.root")


TASK = Classification()
