"""`subquad test` of a segmentation network."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.base.files import write_whole
from subquad.engine.checkpoints import checkpoint_path
from subquad.engine.evaluation_run import add_test_options, config_of_run, data_defaults
from subquad.engine.options import check_classes
from subquad.engine.outputs import check_scores
from subquad.engine.parsing import Parser
from subquad.engine.refusals import require_segmentation
from subquad.engine.run import evaluate, is_first_process, quiet_lightning
from subquad.engine.trainer_options import add_trainer_options
from subquad.tasks.segmentation.data.options import DataOptions, build_data
from subquad.tasks.segmentation.look_over import look_over
from subquad.tasks.segmentation.protocol_options import (
    ProtocolOptions,
    protocol_defaults,
    resolve_protocol,
    spelled_out,
)

if TYPE_CHECKING:
    from subquad.tasks.segmentation.confusion import SegmentationScores


def parser() -> Parser:
    """Return the options of `subquad test`."""
    p = Parser(prog="subquad test", description="Evaluate a checkpoint.")
    add_test_options(p)
    p.add_class_arguments(DataOptions, "data")
    p.add_class_arguments(ProtocolOptions, "protocol")
    add_trainer_options(p, training=False)
    return p


def main(arguments: list[str]) -> None:
    """Parse, evaluate, print the table of classes."""
    from subquad.engine.tables import print_scores
    from subquad.models import load_model
    from subquad.tasks.segmentation.confusion import SegmentationScores
    from subquad.tasks.segmentation.learner import SegmentationTask

    arguments = spelled_out(arguments)
    p = parser()
    p.set_defaults(_options_of_run(arguments))
    options = p.parse_args(arguments)
    quiet_lightning()
    check_scores(options.json, "mean_iou", [checkpoint_path(options.checkpoint)])
    instantiated: Any = p.instantiate(options)
    protocol = resolve_protocol(instantiated.protocol)
    network = load_model(checkpoint_path(options.checkpoint))
    require_segmentation(network.config, options.checkpoint)
    data = build_data(instantiated.data, seed=0, training=False)
    check_classes(network, data.labels, options.checkpoint)
    look_over(instantiated.data, data)
    task = SegmentationTask(network, protocol=protocol)
    evaluate(task, data, options)
    assert isinstance(task.scores, SegmentationScores)
    if is_first_process():
        print_scores(task.scores, data.labels.names)
        if options.json:
            write_scores(task.scores, data.labels.names, Path(options.json))


def write_scores(scores: SegmentationScores, names: tuple[str, ...], path: Path) -> None:
    """Write the scores as JSON; null stands for "not applicable".

    The section `metric` holds what mmsegmentation's `eval_*.json` hold, by the same names and
    rounded as there, to two decimals of a percentage.
    """

    def known(score: float) -> float | None:
        return None if math.isnan(score) else score

    def rounded(score: float) -> float | None:
        return None if math.isnan(score) else round(100 * score, 2) / 100

    iou = dict(zip(names, scores.iou.tolist(), strict=True))
    accuracy = dict(zip(names, scores.accuracy.tolist(), strict=True))
    metric = {
        "aAcc": rounded(scores.pixel_accuracy),
        "mIoU": rounded(scores.mean_iou),
        "mAcc": rounded(scores.mean_accuracy),
        **{f"IoU.{name}": rounded(score) for name, score in iou.items()},
        **{f"Acc.{name}": rounded(score) for name, score in accuracy.items()},
    }
    content = {
        "mean_iou": known(scores.mean_iou),
        "pixel_accuracy": known(scores.pixel_accuracy),
        "mean_accuracy": known(scores.mean_accuracy),
        "iou": {name: known(score) for name, score in iou.items()},
        "accuracy": {name: known(score) for name, score in accuracy.items()},
        "pixels": dict(zip(names, scores.pixels.tolist(), strict=True)),
        "metric": metric,
    }
    write_whole(path, f"{json.dumps(content, indent=1)}\n".encode())


def _options_of_run(arguments: list[str]) -> dict[str, Any]:
    """Return data and protocol of the run whose folder is among the arguments, as defaults."""
    content = config_of_run(arguments, "segmentation")
    # A protocol that is asked for by name is that one, and not mixed with the run's.
    named = any(argument.split("=")[0] == "--protocol.name" for argument in arguments)
    return data_defaults(content) | ({} if named else protocol_defaults(content.get("protocol") or {}))
