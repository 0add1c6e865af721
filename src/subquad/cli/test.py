"""`subquad test`: evaluate a checkpoint."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import yaml

from subquad.cli.fit import TRAINER_FIXED, is_first_process, quiet_lightning
from subquad.cli.options import DataOptions, build_data, check_classes, checkpoint_path
from subquad.cli.parsing import Parser


def parser() -> Parser:
    """Return the options of `subquad test`."""
    from lightning.pytorch import Trainer

    p = Parser(prog="subquad test", description="Evaluate a checkpoint.")
    p.add_argument(
        "checkpoint",
        type=str,
        help="A .safetensors file, or a folder that `fit` wrote; the folder also tells which data.",
    )
    p.add_argument(
        "--json",
        type=str | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="Write the scores to this file.",
    )
    p.add_class_arguments(DataOptions, "data")
    p.add_class_arguments(Trainer, "trainer", skip=TRAINER_FIXED, instantiate=False)
    return p


def main(arguments: list[str]) -> None:
    """Parse, evaluate, print the table of classes."""
    from lightning.pytorch import Trainer

    from subquad.cli.tables import print_scores
    from subquad.evaluation import SegmentationScores
    from subquad.models import load_model
    from subquad.training import SegmentationTask

    p = parser()
    p.set_defaults(_data_of_run(arguments))
    options = p.parse_args(arguments)
    quiet_lightning()
    if options.json:
        target = Path(options.json)
        if target.is_dir():
            raise ValueError(f"--json {target} is a folder; give the name of a file.")
        target.parent.mkdir(parents=True, exist_ok=True)
    network = load_model(checkpoint_path(options.checkpoint))
    instantiated: Any = p.instantiate(options)
    data = build_data(instantiated.data, seed=0, training=False)
    check_classes(network, data.labels, options.checkpoint)
    task = SegmentationTask(network)
    trainer = Trainer(
        **options.trainer.as_dict(),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    trainer.test(task, data, verbose=False)
    assert isinstance(task.scores, SegmentationScores)
    if is_first_process():
        print_scores(task.scores, data.labels.names)
        if options.json:
            write_scores(task.scores, data.labels.names, Path(options.json))


def write_scores(scores: Any, names: tuple[str, ...], path: Path) -> None:
    """Write the scores as JSON; null stands for "not applicable"."""

    def known(score: float) -> float | None:
        return None if math.isnan(score) else score

    content = {
        "mean_iou": known(scores.mean_iou),
        "pixel_accuracy": known(scores.pixel_accuracy),
        "iou": {n: known(v) for n, v in zip(names, scores.iou.tolist(), strict=True)},
        "accuracy": {n: known(v) for n, v in zip(names, scores.accuracy.tolist(), strict=True)},
        "pixels": dict(zip(names, scores.pixels.tolist(), strict=True)),
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def _data_of_run(arguments: list[str]) -> dict[str, Any]:
    """Return the data options of the run whose folder is among the arguments, as defaults."""
    for argument in arguments:
        config = Path(argument) / "config.yaml"
        if not argument.startswith("-") and config.is_file():
            content = yaml.safe_load(config.read_text())
            data = content.get("data") if isinstance(content, dict) else None
            if not isinstance(data, dict):
                raise ValueError(f"{config} has no section `data`; it is not of `subquad fit`.")
            return {f"data.{name}": value for name, value in data.items()}
    return {}
