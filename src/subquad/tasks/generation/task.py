"""Generation of images as the commands see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from subquad.data.class_images import ClassImageOptions, open_class_images
from subquad.engine.classes import check_class_count, check_same_classes
from subquad.engine.options import add_device, add_optional, defaults_of, given_options, model_options
from subquad.engine.parsing import Parser
from subquad.engine.run import check_seed
from subquad.models import model_config
from subquad.models.hamgan import HamGANConfig
from subquad.tasks import Task
from subquad.tasks.generation.grids import GridOptions
from subquad.tasks.generation.optimizer import HamGANOptions
from subquad.tasks.generation.scores import GenerationScores
from subquad.tasks.generation.trainer import check_gan_trainer

if TYPE_CHECKING:
    from subquad.tasks.generation.data.module import ClassImageData
    from subquad.tasks.generation.learner import GenerationLearner

Preset = Literal["hamgan", "standard", "small"]
# Their values are fixed, or the data tells them.
HamGANModelOptions = model_options([HamGANConfig], name="hamgan_baby", told=("class_names", "mean", "std"))


class Generation(Task):
    """Images of a class, drawn from noise."""

    name = "generation"
    default_model = "hamgan_baby"
    kept_of_run = ("data", "model", "seed", "features", "inception")
    generates = "subquad.tasks.generation.commands.generate:main"

    def add_fit_options(self, p: Parser) -> None:
        """Add features, network, data, the two optimisers and grids of images."""
        _add_features(p)
        p.add_class_arguments(HamGANModelOptions, "model")
        _add_data(p)
        p.add_class_arguments(HamGANOptions, "optimizer")
        p.add_class_arguments(GridOptions, "grids")
        p.usual += ["features", "inception", "optimizer.generator_lr", "optimizer.discriminator_lr"]
        p.paths.append("model.weights")
        p.may_change += ["grids.*", "features", "inception"]  # these compare themselves, by a fingerprint
        p.former["optimizer.check_every"] = 50  # how often NaN was looked for: each step is looked at now
        p.checks.append(lambda options: check_gan_trainer(options.trainer))

    def open_data(self, options: Any, config: Any = None) -> ClassImageData:
        """Open pictures of the size of the network: both splits for training, else those to compare with."""
        from subquad.tasks.generation.data.module import ClassImageData

        size = _sized(options) if config is None else config
        names = (options.data.train, options.data.evaluation)
        train, evaluation = (
            None
            if split is None
            else open_class_images(options.data, split, side=size.size, channels=size.in_channels)
            for split in (names if config is None else (None, options.data.evaluation))
        )
        assert evaluation is not None
        return ClassImageData(
            train,
            evaluation,
            batch_size=options.data.batch_size,
            eval_batch_size=options.data.eval_batch_size,
            workers=options.data.workers,
            seed=options.seed,
        )

    def configure(self, options: Any, data: Any) -> HamGANConfig:
        """Return the configuration for the pictures and the classes of the data."""
        names = data.class_names
        check_class_count(options.model.num_classes, names)
        return _sized(options).replaced(num_classes=len(names), class_names=names)

    def learner(self, network: Any, data: Any, options: Any) -> GenerationLearner:
        """Return the network in training, with the features that evaluations compare if a file is given."""
        from subquad.tasks.generation.features import check_features, open_features
        from subquad.tasks.generation.learner import GenerationLearner

        features = None
        if options.features is not None or options.inception is not None:
            features = open_features(options.features, options.inception)
            check_features(features, network.config)
            real = data.datasets["val"]
            if len(real) < 2:
                raise ValueError(
                    f"{real.where} holds {len(real)} picture, but a "
                    f"{features.distance_name} needs two at least; add pictures, or leave --features and "
                    f"--inception out."
                )
        return GenerationLearner(
            network, options.optimizer, options.seed, ema=options.ema, features=features, grids=options.grids
        )

    def learner_of_replay(self, network: Any, options: Mapping[str, Any]) -> GenerationLearner:
        """Rebuild a learner."""
        from subquad.tasks.generation.learner import GenerationLearner

        return GenerationLearner.for_replay(network, options)

    def add_test_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add features, the protocol of scores, and data; those of the run are the defaults."""
        _add_features(p)
        p.add_argument(
            "--preset",
            type=Preset,  # pyright: ignore[reportArgumentType]
            default="small",
            help="hamgan: 50,176 images, Inception score of all at once, as published; standard: 50,000 "
            "images, 10 splits; small: 10,000 images.",
        )
        for name, kind, help in (
            ("samples", int, "Generated images, instead of the preset's."),
            ("splits", int, "Of the Inception score, instead of the preset's."),
            ("truncation", float, "Bound of the latent vectors; not given: not truncated."),
        ):
            add_optional(p, name, kind, help)
        p.add_argument(
            "--seed",
            type=int,
            default=1000,
            help="Of latent vectors and classes, not those that `fit` looks at.",
        )
        p.add_argument("--allow_small", type=bool, default=False, help="Score fewer than 10,000 images.")
        add_device(p)
        p.add_argument("--batch_size", type=int, default=64, help="Of generated images.")
        _add_data(p)
        p.checks.append(_check_scoring)
        p.usual += ["features", "inception", "preset", "samples", "allow_small"]
        p.set_defaults(defaults_of(run))
        if not (p.is_given("features") or p.is_given("inception")):
            p.set_defaults({name: run.get(name) for name in ("features", "inception")})

    def check_fits(self, config: Any, data: Any, checkpoint: str) -> None:
        """Raise ValueError unless a network makes images of these classes."""
        check_same_classes(config, data.class_names, checkpoint)

    def evaluate(self, network: Any, data: Any, options: Any) -> GenerationScores:
        """Return FID and Inception score, or proxy-FID."""
        from subquad.tasks.generation.commands.evaluate import score

        return score(network, data.datasets["test"], options)

    def add_predict_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Raise ValueError: it is another command that makes images."""
        raise ValueError("a HamGAN makes images rather than reads them; use `subquad generate`.")

    def predict(self, network: Any, options: Any, run: Mapping[str, Any]) -> str:
        """Raise ValueError, as `add_predict_options` did."""
        raise ValueError("a HamGAN makes images rather than reads them; use `subquad generate`.")


def _sized(options: Any) -> HamGANConfig:
    """Return the configuration without the classes, for which the pictures must be opened first.

    Raises:
        ValueError: If the network is of another task.
    """
    overrides = given_options(options.model)
    named = model_config(options.model.name)
    if not isinstance(named, HamGANConfig):
        raise ValueError(f"{options.model.name} does not generate images; give --model.name hamgan_baby.")
    fixed = options.data.fixed()
    if fixed is not None:
        overrides = {"in_channels": fixed[0], "size": fixed[1], **overrides}
    overrides.pop("num_classes", None)
    return named.replaced(**overrides)


def _check_scoring(options: Any) -> None:
    """Raise ValueError where images cannot be scored like that, before anything is read."""
    from subquad.tasks.generation.commands.evaluate import resolve_protocol

    check_seed(options.seed)
    if options.batch_size < 1:
        raise ValueError(f"--batch_size must be at least 1, got {options.batch_size}.")
    resolve_protocol(options)


def _add_data(p: Parser) -> None:
    p.add_class_arguments(ClassImageOptions, "data")
    p.paths.append("data.root")


def _add_features(p: Parser) -> None:
    for name, help in {
        "features": "Proxy features of `subquad features`, for a proxy-FID.",
        "inception": "File of Inception's weights, for FID; docs/hamgan.md says where it is had.",
    }.items():
        add_optional(p, name, str, help)
        p.paths.append(name)


TASK = Generation()
