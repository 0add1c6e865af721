"""A training run of any kind of network: its options, its folder, Lightning's trainer."""

from __future__ import annotations

import dataclasses
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionConfigFile, Namespace  # pyright: ignore[reportPrivateImportUsage]

from subquad.cli.parsing import Parser
from subquad.cli.recipes import check_start, given_recipes
from subquad.models.checkpoint import config_from_json
from subquad.training.task import CONFIG_KEY, Task

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningDataModule, Trainer

# What `fit` decides itself.
TRAINER_FIXED: set[str | int] = {
    "logger",
    "callbacks",
    "plugins",
    "default_root_dir",
    "enable_checkpointing",
    "use_distributed_sampler",
    "enable_progress_bar",
    "model_registry",
}


def add_run_options(p: Parser) -> None:
    """Add what every training run is told, Lightning's trainer at the end."""
    p.add_argument("--config", action=ActionConfigFile, help="A recipe: YAML of the options below.")
    p.add_argument("--output", type=str, default="runs/fit", help="Folder for weights and logs.")
    p.add_argument("--resume", action="store_true", help="Continue the run in --output, if there is one.")
    p.add_argument("--seed", type=int, default=0, help="Of everything random.")
    p.add_argument(
        "--ema",
        type=float | None,
        default=None,  # pyright: ignore[reportArgumentType]
        help="Decay of the moving average of the weights that is evaluated and saved, e.g. 0.999.",
    )
    p.add_argument("--save_every", type=int, default=100, help="Steps between two resumable checkpoints.")


def add_trainer_options(p: Parser) -> None:
    """Add Lightning's options, with our defaults."""
    from lightning.pytorch import Trainer

    p.add_class_arguments(Trainer, "trainer", skip=TRAINER_FIXED, instantiate=False)
    p.set_defaults(
        {
            "trainer.max_epochs": 100,
            "trainer.log_every_n_steps": 10,
            "trainer.num_sanity_val_steps": 0,
            "trainer.enable_model_summary": False,
        }
    )


def absolute_paths(options: Namespace, *names: str) -> None:
    """Make paths of the data absolute, so that config.yaml means the same from any directory."""
    for name in names:
        if options.data[name] is not None:
            options.data[name] = str(Path(options.data[name]).resolve())


def start_run(p: Parser, arguments: list[str], *paths: str) -> tuple[Any, Path, Callable[[], None]]:
    """Parse the arguments of `subquad fit`, and refuse a folder that would lose a run.

    Args:
        p: The options of a kind of network.
        arguments: Of the command.
        paths: Names of the data's options that are paths; they are made absolute.

    Returns:
        The options, the folder of the run, and what saves the options there as `config.yaml`.
    """
    p.recipes = given_recipes(arguments)
    options = p.parse_args(arguments)
    absolute_paths(options, *paths)
    folder = Path(options.output)
    if is_first_process():
        refuse_run(folder, options.resume)

    def save_options() -> None:
        p.save(options, folder / "config.yaml", overwrite=True, skip_unset=False)

    return options, folder, save_options


def load_start(network: Any, weights: str | None) -> None:
    """Fill the network from a file, if one is given, and print what was loaded."""
    from subquad.models import load_original

    if weights:
        check_start(weights)
        report = load_original(network, weights)
        if is_first_process():
            sys.stdout.write(f"{weights}: {report}\n")


def train(
    task: Task,
    data: LightningDataModule,
    options: Any,
    folder: Path,
    before_training: Callable[[], None] | None = None,
) -> Path:
    """Train, or continue the run that the folder holds.

    Args:
        task: What is trained.
        data: Its batches.
        options: Those of `add_run_options` and `add_trainer_options`.
        folder: For `best.safetensors`, `last.safetensors`, `last.ckpt` and `logs`.
        before_training: Called once all options have proved good, on the first process.

    Returns:
        The CSV file of losses and metrics by step.
    """
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    csv = CSVLogger(folder, "logs", flush_logs_every_n_steps=10)
    trainer = _trainer(options, folder, [csv, TensorBoardLogger(folder, "logs", version=csv.version)])
    last = folder / "last.ckpt"
    if last.is_file():
        check_resumable(last, task)
    if before_training is not None and is_first_process():
        folder.mkdir(parents=True, exist_ok=True)
        before_training()
    trainer.fit(task, data, ckpt_path=last if last.is_file() else None, weights_only=True)
    if task.score is None:  # resumed at the very end
        trainer.validate(task, data, verbose=False)
    return Path(csv.log_dir) / "metrics.csv"


def evaluate(task: Task, data: LightningDataModule, options: Any) -> None:
    """Evaluate on the data's test set; the task holds the scores."""
    from lightning.pytorch import Trainer

    trainer = Trainer(
        **options.trainer.as_dict(),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    trainer.test(task, data, verbose=False)


def _trainer(options: Any, folder: Path, loggers: list[Any]) -> Trainer:
    from lightning.pytorch import Trainer

    from subquad.training import ModelAverage, PlainProgress, SaveBest, SaveFinal, SaveLast, TimeLeft

    is_terminal = sys.stderr.isatty()
    callbacks: list[Callback] = [SaveBest(folder), SaveLast(folder, options.save_every)]
    callbacks.append(TimeLeft() if is_terminal else PlainProgress())
    if options.ema is not None:
        if not 0 < options.ema < 1:
            raise ValueError(f"--ema is a decay between 0 and 1, such as 0.999; got {options.ema}.")
        callbacks.append(ModelAverage(decay=options.ema))
    callbacks.append(SaveFinal(folder))  # when the moving average has taken the weights' place
    trainer = Trainer(
        **options.trainer.as_dict(),
        logger=loggers,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_checkpointing=True,
        enable_progress_bar=is_terminal,
        use_distributed_sampler=False,
    )
    check_sync_batchnorm(trainer, options.trainer.sync_batchnorm)
    return trainer


def check_sync_batchnorm(trainer: Trainer, wanted: bool) -> None:
    """Raise ValueError if statistics are to be shared by processes on a CPU: PyTorch cannot."""
    if wanted and trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        raise ValueError(
            f"--trainer.sync_batchnorm true with {trainer.world_size} processes on the CPU: PyTorch shares "
            f"the statistics of batch norm on GPUs only; leave it out, or train with --trainer.devices 1."
        )


def check_seed(seed: int) -> None:
    """Raise ValueError if the seed is negative."""
    if seed < 0:
        raise ValueError(f"--seed must be 0 or more, got {seed}.")


def refuse_run(folder: Path, resume: bool) -> None:
    """Raise ValueError if the folder holds a run already, which would be lost."""
    if not resume and any((folder / name).exists() for name in ("last.ckpt", "best.safetensors")):
        raise ValueError(
            f"{folder} holds a run already; continue it with --resume, or choose another --output."
        )


def check_resumable(checkpoint: Path, task: Any) -> None:
    """Raise ValueError unless a checkpoint of Lightning is of the same network with the same options."""
    import torch

    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        text = content[CONFIG_KEY]
    except Exception as error:
        raise ValueError(
            f"{checkpoint} is damaged or no checkpoint of `subquad fit` ({type(error).__name__}); delete it "
            f"to start again, or choose another --output."
        ) from error
    theirs, ours = config_from_json(text, checkpoint), task.config
    for field in dataclasses.fields(ours):
        was, now = (getattr(config, field.name, None) for config in (theirs, ours))
        if was != now:
            raise ValueError(
                f"{checkpoint} is of another network: its {field.name} is {was!r}, not {now!r}; resume "
                f"with the options of config.yaml beside it, or choose another --output."
            )


def quiet_lightning() -> None:
    """Leave out Lightning's remarks on hardware, workers and tips."""
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


def is_first_process() -> bool:
    """Say whether this process is the one that prints and writes."""
    from lightning.pytorch.utilities import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) in (0, None)
