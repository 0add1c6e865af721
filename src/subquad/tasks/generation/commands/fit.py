"""`subquad fit` of a HamGAN."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from subquad.base.suggest import first_of
from subquad.data.class_images import ClassImageOptions, ClassImages, open_class_images
from subquad.engine.options import given_options, model_options
from subquad.engine.parsing import Parser
from subquad.engine.resume import RunOptions
from subquad.engine.run import (
    add_run_options,
    check_seed,
    is_first_process,
    load_start,
    quiet_lightning,
    start_run,
    tell_unevaluated,
)
from subquad.engine.run_folder import releasing
from subquad.engine.trainer_options import add_trainer_options
from subquad.engine.training_run import train
from subquad.models import model_config
from subquad.models.hamgan import HamGAN, HamGANConfig
from subquad.models.solvers import solver_from_json
from subquad.tasks.generation.optimizer import HamGANOptions
from subquad.tasks.generation.watch import GridOptions

# Their values are fixed, or the data tells them.
TOLD = ("class_names", "mean", "std")
FIND_UNUSED = "ddp_find_unused_parameters_true"
STRATEGIES = ("auto", "ddp", FIND_UNUSED)
PRECISIONS = (None, 16, 32, "16", "32", "bf16", "32-true", "16-mixed", "bf16-mixed")
HamGANModelOptions = model_options([HamGANConfig], name="hamgan_baby", told=TOLD)


def parser() -> Parser:
    """Return the options of `subquad fit` for HamGANs."""
    p = Parser(prog="subquad fit", description="Train a network that makes images of a class.")
    add_run_options(p)
    add_feature_options(p)
    p.add_class_arguments(HamGANModelOptions, "model")
    p.add_class_arguments(ClassImageOptions, "data")
    p.add_class_arguments(HamGANOptions, "optimizer")
    p.add_class_arguments(GridOptions, "grids")
    add_trainer_options(p)
    return p


def add_feature_options(p: Parser) -> None:
    """Add the two files that features can come from."""
    for name, help in {
        "features": "Proxy features of `subquad features`, for a proxy-FID.",
        "inception": "File of Inception's weights, for FID; docs/hamgan.md says where it is had.",
    }.items():
        p.add_argument(f"--{name}", type=str | None, default=None, help=help)  # pyright: ignore[reportArgumentType]


@releasing()
def main(arguments: list[str]) -> None:
    """Parse, train, print where the weights are."""
    from subquad.engine.tables import best_sentence

    p = parser()
    options, folder, given = start_run(p, arguments, "root")
    for section, name in ((options, "features"), (options, "inception"), (options.model, "weights")):
        if section[name] is not None:
            section[name] = str(Path(section[name]).resolve())
    task = fit(p.instantiate(options), folder, given)
    if task.score is None:
        tell_unevaluated(folder)
    elif is_first_process():
        if task.distance is not None:
            sys.stdout.write(f"{task.features.distance_name} {task.distance:.3f}\n")
        best = best_sentence(task, folder / "best.safetensors")
        sys.stdout.write(f"{best}; images: {folder / 'samples'}\n")


def fit(options: Any, folder: Path, given: RunOptions | None = None) -> Any:
    """Train as the options say; resume if the folder holds a run.

    Args:
        options: Of `parser`, instantiated.
        folder: For `best.safetensors`, `last.safetensors`, `last.ckpt`, `samples` and `logs`.
        given: All options as they are saved; None does not save or compare them.

    Returns:
        The `HamGANTask`, whose `distance` is that of the last evaluation.
    """
    import torch

    from subquad.tasks.generation.data.module import ClassImageData
    from subquad.tasks.generation.features import check_features
    from subquad.tasks.generation.learner import HamGANTask

    quiet_lightning()
    check_seed(options.seed)
    _check_trainer(options.trainer)
    features = resolve_features(options)
    config, train_split, evaluation = resolve_hamgan(options.model, options.data)
    if features is not None:
        check_features(features, config)
        if len(evaluation) < 2:
            raise ValueError(
                f"{evaluation.where} holds {len(evaluation)} picture, but a {features.distance_name} needs "
                f"two at least; add pictures, or leave --features and --inception out."
            )
    data = ClassImageData(
        train_split,
        evaluation,
        batch_size=options.data.batch_size,
        eval_batch_size=options.data.eval_batch_size,
        workers=options.data.workers,
        seed=options.seed,
    )
    torch.manual_seed(options.seed)
    network = HamGAN(config)
    load_start(network, options.model.weights, folder)
    task = HamGANTask(
        network, options.optimizer, options.seed, ema=options.ema, features=features, grids=options.grids
    )
    options.ema = None  # the task averages the generator alone
    options.trainer.strategy = _strategy(options.trainer)
    train(task, data, options, folder, given)
    return task


def _check_trainer(trainer: Any) -> None:
    """Raise ValueError where Lightning would ask for what a GAN cannot do."""
    for name, usual in {"gradient_clip_val": None, "accumulate_grad_batches": 1}.items():
        if trainer[name] != usual:
            raise ValueError(
                f"--trainer.{name} {trainer[name]} is for networks with one optimiser, a GAN has two; leave "
                f"it out."
            )
    if trainer.precision not in PRECISIONS:
        raise ValueError(
            f"--trainer.precision {trainer.precision} does not keep the weights in float32, as the spectral "
            f"norms and Adam of a GAN need; give 32-true, bf16-mixed or 16-mixed."
        )
    if trainer.strategy not in STRATEGIES:
        raise ValueError(
            f"--trainer.strategy {trainer.strategy} cannot train two networks that take turns; give one of "
            f"{', '.join(STRATEGIES)}."
        )


def _strategy(trainer: Any) -> str:
    """Return the strategy for the devices: in each update one of the two networks has no gradient."""
    from lightning.pytorch import Trainer

    if trainer.strategy == "auto":
        # Only Lightning knows how many devices "auto" and -1 are.
        found = Trainer(
            accelerator=trainer.accelerator,
            devices=trainer.devices,
            num_nodes=trainer.num_nodes,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
        )
        if found.num_devices * found.num_nodes == 1:
            return "auto"
    return FIND_UNUSED


def resolve_features(options: Any) -> Any:
    """Return the features that evaluations compare; None if no file is given."""
    from subquad.tasks.generation.features import open_features

    if options.features is None and options.inception is None:
        return None
    return open_features(options.features, options.inception)


def resolve_hamgan(model: Any, data: ClassImageOptions) -> tuple[HamGANConfig, ClassImages, ClassImages]:
    """Return the configuration of a network for these options, and the splits for it.

    Raises:
        ValueError: If the network is of another kind, or the data has other images or classes than it.
        FileNotFoundError: If something is not there.
    """
    overrides = given_options(model)
    named = model_config(model.name)
    if not isinstance(named, HamGANConfig):
        raise ValueError(f"{model.name} does not generate images; give --model.name hamgan_baby.")
    if isinstance(overrides.get("solver"), dict):
        overrides["solver"] = solver_from_json(overrides["solver"])
    fixed = data.fixed()
    if fixed is not None:
        overrides = {"in_channels": fixed[0], "size": fixed[1], **overrides}
    asked = overrides.pop("num_classes", None)
    config = named.replaced(**overrides)
    splits = [
        open_class_images(data, split, side=config.size, channels=config.in_channels)
        for split in (data.train, data.evaluation)
    ]
    names = splits[0].class_names
    if asked is not None and asked != len(names):
        raise ValueError(
            f"--model.num_classes {asked}, but the data has {len(names)} classes ({first_of(names)}); "
            "leave the option out."
        )
    return config.replaced(num_classes=len(names), class_names=names), splits[0], splits[1]
