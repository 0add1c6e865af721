"""`subquad fit` of a sequence network."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.base.suggest import first_of
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.options import given_options, model_options
from subquad.engine.parsing import Parser
from subquad.engine.plain_yaml import read_yaml
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
from subquad.engine.run_folder import is_resumable, releasing
from subquad.engine.trainer_options import add_trainer_options
from subquad.engine.training_run import train
from subquad.models import SequenceConfig, model_config
from subquad.tasks.sequences.data import SequenceOptions
from subquad.tasks.sequences.notes import check_unknown, tell_notes, tell_unknown

if TYPE_CHECKING:
    from subquad.tasks.sequences.learner import SequenceTask
    from subquad.tasks.sequences.scores import SequenceScores

SAME_LENGTH = ("adding", "order", "image", "pathfinder")  # all sequences of these data
# What the data tells: the options of a network that a user does not give.
TOLD = ("class_names", "token_names", "vocab_size", "in_features", "regression")
TOLD += ("mean", "std", "target_mean", "target_std")
SequenceModelOptions = model_options([SequenceConfig], name="paramixer", told=TOLD)


def parser() -> Parser:
    """Return the options of `subquad fit` for sequences."""
    p = Parser(prog="subquad fit", description="Train a network on sequences.")
    add_run_options(p)
    p.add_class_arguments(SequenceModelOptions, "model")
    p.add_class_arguments(SequenceOptions, "data", skip={"seed"})
    p.add_class_arguments(OptimizerOptions, "optimizer")
    p.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="Compile the network with torch.compile: half a minute or more at the start, faster steps.",
    )
    add_trainer_options(p)
    p.set_defaults(
        {
            "optimizer.lr": 1e-3,
            "optimizer.exempt": "norms_and_biases",
            "optimizer.warmup_steps": 500,
            "optimizer.decay": "cosine",
            "trainer.gradient_clip_val": 1.0,
        }
    )
    return p


@releasing()
def main(arguments: list[str]) -> None:
    """Parse, train, print the scores."""
    from subquad.engine.tables import best_sentence, print_sequence_scores

    p = parser()
    options, folder, given = start_run(p, arguments, "root", "file", "val_file", "test_file")
    take_older_defaults(p, options, folder)
    task = fit_task(p.instantiate(options), folder, given)
    if task.scores is None:
        tell_unevaluated(folder)
    elif is_first_process():
        print_sequence_scores(task.scores)
        sys.stdout.write(f"{best_sentence(task, folder / 'best.safetensors')}\n")


def take_older_defaults(p: Parser, options: Any, folder: Path) -> None:
    """Set what was not given as it was before values had units and links of their own, if such a run goes on.

    Args:
        p: `parser`, whose default then is what such a run was made with.
        options: What it returned; changed where the run's config.yaml does not know `data.standard_units`.
        folder: Of the run.
    """
    if not is_resumable(folder):
        return
    try:
        data = read_yaml(folder / "config.yaml").get("data")
    except (OSError, ValueError):  # it is compared later, and told
        return
    if isinstance(data, dict) and "standard_units" not in data:
        options.data.standard_units = False
        p.set_defaults({"data.standard_units": False})
        named = model_config(options.model.name)
        assert isinstance(named, SequenceConfig)
        for name in ("norm", "start"):
            if options.model[name] is None:
                options.model[name] = getattr(named, name)


def fit(options: Any, folder: Path, given: RunOptions | None = None) -> SequenceScores | None:
    """Train as `fit_task` does, and return the scores of the last evaluation; None if there was none."""
    return fit_task(options, folder, given).scores


def fit_task(options: Any, folder: Path, given: RunOptions | None = None) -> SequenceTask:
    """Train as the options say; resume if the folder holds a run.

    Args:
        options: Of `parser`, with `model`, `data` and `optimizer` instantiated.
        folder: For `best.safetensors`, `last.safetensors`, `last.ckpt` and `logs`.
        given: All options as they are saved; None does not save or compare them.

    Returns:
        The task, which knows the scores of the last evaluation and which one was the best.
    """
    import torch

    from subquad.tasks.sequences.data import SequenceData
    from subquad.tasks.sequences.learner import SequenceTask

    quiet_lightning()
    check_seed(options.seed)
    data = SequenceData(dataclasses.replace(options.data, seed=options.seed))
    tell_notes(data)
    tell_unknown(data, "test")
    check_unknown(data, "val")
    torch.manual_seed(options.seed)
    config = resolve_sequence_model(options.model, data)
    if added := for_values(options.model, data):
        told = " and ".join(f"--model.{name} {str(value).lower()}" for name, value in added.items())
        if is_first_process():
            sys.stdout.write(f"{options.model.name} is published for tokens; for values it gets {told}\n")
    network = config.build()
    load_start(network, options.model.weights, folder)
    if options.compile:
        # Widths that change from batch to batch are compiled once for all, not one after another.
        same = options.data.pad == "length" or options.data.name in SAME_LENGTH
        network.compile(dynamic=None if same else True)
    task = SequenceTask(network, options.optimizer, options.seed)
    train(task, data, options, folder, given)
    return task


def resolve_sequence_model(options: Any, data: Any) -> SequenceConfig:
    """Return the configuration of a network for these options and this data.

    Raises:
        ValueError: If the class count asked for is not that of the data, the readout needs what the
            data does not give, or an option is unknown.
    """
    overrides = given_options(options)
    named = model_config(options.name)
    assert isinstance(named, SequenceConfig)  # it decided that we are here
    classes = data.num_classes or 1
    asked = overrides.setdefault("num_classes", classes)
    if asked != classes:
        names = f" ({first_of(data.class_names)})" if data.class_names else ""
        raise ValueError(
            f"--model.num_classes {asked}, but the data has {classes} classes{names}; leave the option out."
        )
    info = data.info
    config = named.replaced(
        **{
            "length": data.length,
            **for_values(options, data),
            **overrides,
            "class_names": data.class_names,
            "vocab_size": data.vocab_size,
            "token_names": data.vocabulary.tokens if data.vocabulary else (),
            "in_features": data.in_features or 1,
            "regression": data.task == "regression",
            "mean": info.mean,
            "std": info.std,
            "target_mean": info.target_mean,
            "target_std": info.target_std,
        },
    )
    # The first symbol of Temporal Order is as good as any; that of a text is not.
    if config.pooling == "cls" and data.vocabulary and not data.cls and data.options.name != "order":
        raise ValueError(
            "--model.pooling cls reads the first position, which holds the first token of each sequence; put "
            "one in front with --data.cls true, or take --model.pooling mean."
        )
    if config.longest is not None and config.longest < data.length:
        raise ValueError(
            f"--model.length {config.length}, but the data has sequences of up to {data.length}; leave the "
            f"option out, or cut them with --data.length {config.length - data.cls}."
        )
    return config


def for_values(options: Any, data: Any) -> dict[str, Any]:
    """Return what a network that is published for tokens needs to learn from values; else nothing.

    Random factors without norms multiply values by thousands from block to block: in float32 the first
    loss of three blocks is some 1e14, and training becomes NaN. Small random token vectors hide it.
    """
    named = model_config(options.name)
    assert isinstance(named, SequenceConfig)
    if data.in_features is None or named.vocab_size is None or named.norm:
        return {}
    given = dataclasses.asdict(named) | given_options(options)
    links = 2 if given["protocol"] == "chord" else given["links"]
    alike = given["residual"] != "fixed" and links > 1
    added = {"norm": True, "start": "uniform" if alike else "identity"}
    return {name: value for name, value in added.items() if getattr(options, name) is None}
