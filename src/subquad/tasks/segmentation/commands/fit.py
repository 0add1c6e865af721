"""`subquad fit` of a segmentation network."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.options import ModelOptions, resolve_model
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
from subquad.tasks.segmentation.data.options import ClassWeights, DataOptions, build_data, weights_of_classes
from subquad.tasks.segmentation.look_over import look_over
from subquad.tasks.segmentation.losses.options import LossOptions
from subquad.tasks.segmentation.protocol_options import ProtocolOptions, resolve_protocol, spelled_out

if TYPE_CHECKING:
    from subquad.tasks.segmentation.confusion import SegmentationScores


@dataclass
class FitResult:
    """What a training run leaves.

    Attributes:
        scores: Of the last evaluation.
        names: Of the classes.
        best: File of the best weights.
        best_sentence: Which evaluation chose them, and by which score.
        log: CSV file of losses and metrics by step.
    """

    scores: SegmentationScores
    names: tuple[str, ...]
    best: Path
    best_sentence: str
    log: Path


def parser() -> Parser:
    """Return the options of `subquad fit` for segmentation."""
    p = Parser(
        prog="subquad fit",
        description="Train a network: of segmentation if --model.name is not given. With the --model.name "
        "of a sequence network, --help tells that network's options.",
    )
    add_run_options(p)
    p.add_argument("--class_weights", type=ClassWeights, default="none", help="Weigh rare classes more.")
    p.add_argument(
        "--freeze", type=str, nargs="+", default=[], help="Parts that stay as they are, such as backbone."
    )
    p.add_class_arguments(ModelOptions, "model")
    p.add_class_arguments(DataOptions, "data")
    p.add_class_arguments(LossOptions, "loss")
    p.add_class_arguments(OptimizerOptions, "optimizer")
    p.add_class_arguments(ProtocolOptions, "protocol")
    add_trainer_options(p)
    return p


@releasing()
def main(arguments: list[str]) -> None:
    """Parse, train, print the table of classes."""
    from subquad.engine.tables import print_scores

    arguments = spelled_out(arguments)
    p = parser()
    options, folder, given = start_run(p, arguments, "root", "classes")
    result = fit(p.instantiate(options), folder, given)
    if result is None:
        tell_unevaluated(folder)
    elif is_first_process():
        print_scores(result.scores, result.names)
        sys.stdout.write(f"{result.best_sentence}\n")


def fit(options: Any, folder: Path, given: RunOptions | None = None) -> FitResult | None:
    """Train as the options say; resume if the folder holds a run.

    Args:
        options: Of `parser`, with `model`, `data`, `loss`, `optimizer` and `protocol` instantiated.
        folder: For `best.safetensors`, `last.safetensors`, `last.ckpt` and `logs`.
        given: All options as they are saved; None does not save or compare them.

    Returns:
        None if no evaluation was asked for.
    """
    import torch

    from subquad.engine.tables import best_sentence
    from subquad.tasks.segmentation.learner import SegmentationTask

    quiet_lightning()
    check_seed(options.seed)
    data = build_data(options.data, options.seed)
    torch.manual_seed(options.seed)
    network = resolve_model(options.model, data.labels).build()
    look_over(options.data, data)
    load_start(network, options.model.weights, folder)
    task = SegmentationTask(
        network,
        options.optimizer,
        weights_of_classes(options.class_weights, data),
        options.seed,
        loss=options.loss,
        protocol=resolve_protocol(options.protocol),
        frozen=options.freeze,
    )
    try:
        log = train(task, data, options, folder, given)
    except ValueError as error:
        if "Expected more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "batch norm has no statistics of a batch of one picture that the network reduces to one pixel; "
            f"give a larger --data.batch_size (it is {options.data.batch_size}), or a larger --data.crop."
        ) from error
    if task.scores is None:
        return None
    best = folder / "best.safetensors"
    return FitResult(task.scores, data.labels.names, best, best_sentence(task, best), log)
