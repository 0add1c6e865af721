"""`subquad fit` of a sequence network."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.cli.options import given_options, model_options
from subquad.cli.parsing import Parser
from subquad.cli.resume import RunOptions
from subquad.cli.run import (
    add_run_options,
    add_trainer_options,
    check_seed,
    is_first_process,
    load_start,
    quiet_lightning,
    start_run,
    tell_unevaluated,
)
from subquad.cli.run_folder import releasing
from subquad.cli.training_run import train
from subquad.data.sequences import SequenceOptions
from subquad.models import SequenceConfig, model_config
from subquad.models.config import override
from subquad.training.optimizer import OptimizerOptions

if TYPE_CHECKING:
    from subquad.training import SequenceScores

SAME_LENGTH = ("adding", "order", "image", "pathfinder")  # all sequences of these data
# What the data tells: the options of a network that a user does not give.
TOLD = ("class_names", "token_names", "vocab_size", "in_features", "regression")
SequenceModelOptions = model_options([SequenceConfig], name="paramixer_text", told=TOLD)


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
    from subquad.cli.tables import print_sequence_scores

    p = parser()
    options, folder, given = start_run(p, arguments, "root", "file", "val_file", "test_file")
    scores = fit(p.instantiate(options), folder, given)
    if scores is None:
        tell_unevaluated(folder)
    elif is_first_process():
        print_sequence_scores(scores)
        best = folder / "best.safetensors"
        what = "accuracy" if scores.is_classification else "loss"
        sys.stdout.write(f"weights with the best {what} of all evaluations: {best}\n")


def fit(options: Any, folder: Path, given: RunOptions | None = None) -> SequenceScores | None:
    """Train as the options say; resume if the folder holds a run.

    Args:
        options: Of `parser`, with `model`, `data` and `optimizer` instantiated.
        folder: For `best.safetensors`, `last.safetensors`, `last.ckpt` and `logs`.
        given: All options as they are saved; None does not save or compare them.

    Returns:
        The scores of the last evaluation; None if none was asked for.
    """
    import torch

    from subquad.data.sequences import SequenceData
    from subquad.training import SequenceTask

    quiet_lightning()
    check_seed(options.seed)
    data = SequenceData(dataclasses.replace(options.data, seed=options.seed))
    torch.manual_seed(options.seed)
    network = resolve_sequence_model(options.model, data).build()
    load_start(network, options.model.weights, folder)
    if options.compile:
        # Widths that change from batch to batch are compiled once for all, not one after another.
        same = options.data.pad == "length" or options.data.name in SAME_LENGTH
        network.compile(dynamic=None if same else True)
    task = SequenceTask(network, options.optimizer, options.seed)
    train(task, data, options, folder, given)
    return task.scores


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
        names = f" ({', '.join(data.class_names[:3])}, ...)" if data.class_names else ""
        raise ValueError(
            f"--model.num_classes {asked}, but the data has {classes} classes{names}; leave the option out."
        )
    config = override(
        named,
        {
            "length": data.length,
            **overrides,
            "class_names": data.class_names,
            "vocab_size": data.vocab_size,
            "token_names": data.vocabulary.tokens if data.vocabulary else (),
            "in_features": data.in_features or 1,
            "regression": data.task == "regression",
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
