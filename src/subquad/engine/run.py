"""A training run of any kind of network: its options, its folder, Lightning's trainer."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.engine.options import add_optional
from subquad.engine.parsing import Parser, Recipe
from subquad.engine.progress import is_first_process

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule

    from subquad.engine.learner import Learner


FOLDER = "runs/fit"
REPORT_SAMPLES = 200


def add_run_options(p: Parser, task: str, tasks: Sequence[str]) -> None:
    """Add what every training run is told, besides `add_trainer_options`.

    Args:
        p: The parser.
        task: The name of what is trained.
        tasks: The names of all tasks.
    """
    p.add_argument("--config", action=Recipe, help="A recipe: YAML of the options below.")
    p.add_argument("--output", type=str, default=FOLDER, help="Folder for weights and logs.")
    p.add_argument("--resume", action="store_true", help="Continue the run in --output, if there is one.")
    p.add_argument(
        "--task",
        type=str,
        default=task,
        help=f"Kind of work, where --model.name does not tell it: {', '.join(tasks)}.",
    )
    p.add_argument("--seed", type=int, default=0, help="Of everything random.")
    add_optional(
        p, "ema", float, "Decay of the moving average of the weights that is evaluated and saved, e.g. 0.999."
    )
    add_optional(
        p, "patience", int, "Evaluations in a row without a better score after which training ends, e.g. 6."
    )
    add_optional(
        p,
        "plan",
        bool,
        "Choose from the data what is not given, where the task can; if not given, that is done unless a "
        "recipe or an option of the model is.",
    )
    p.add_argument(
        "--save_every",
        type=int,
        default=100,
        help="Most steps between two resumable checkpoints, which are written every minute and with each "
        "evaluation, too.",
    )
    p.add_argument(
        "--report_samples",
        type=int,
        default=REPORT_SAMPLES,
        help="Most samples of the evaluation set that report.html looks at once more; 0 writes no report.",
    )


def add_samples(p: Parser, help: str) -> None:
    """Add how many samples of an evaluation set are looked at once more, at least one."""
    p.add_argument("--samples", type=int, default=REPORT_SAMPLES, help=help)

    def check(options: Any) -> None:
        if options.samples < 1:
            raise ValueError(f"--samples must be at least 1, got {options.samples}.")

    p.checks.append(check)


def tell_unevaluated(folder: Path) -> None:
    """Say that there was no evaluation, and which weights there are."""
    if is_first_process():
        sys.stdout.write(
            f"there was no evaluation (--trainer.limit_val_batches 0), so no weights are the best; those of "
            f"the end of training: {folder / 'last.safetensors'}\n"
        )


def evaluate(learner: Learner, data: LightningDataModule, options: Any) -> Any:
    """Return the scores of a learner on the data's test set, on `options.device` if that is given."""
    from lightning.pytorch import Trainer

    from subquad.engine.callbacks import EvaluatedBatches

    quiet_lightning()
    place: dict[str, Any] = {}
    if options.device is not None:
        kind, _, number = options.device.partition(":")
        place = {"accelerator": kind, "devices": [int(number)] if number and kind != "cpu" else 1}
    trainer = Trainer(
        **options.trainer.as_dict() | place,
        logger=False,
        callbacks=[EvaluatedBatches()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    trainer.test(learner, data, verbose=False)
    return learner.scores


def check_seed(seed: int) -> None:
    """Raise ValueError if the seed is negative."""
    if seed < 0:
        raise ValueError(f"--seed must be 0 or more, got {seed}.")


def quiet_lightning() -> None:
    """Leave out Lightning's remarks on hardware, workers and tips; once it is imported, which undoes it."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*smaller than the logging.*",
        ".*LeafSpec.*",
        ".*dirpath has changed.*",
        ".*callbacks used to create the checkpoint.*",
        ".*GPU available but not used.*",
    ):
        warnings.filterwarnings("ignore", message)
