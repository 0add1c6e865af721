"""What the training of every network has in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from subquad.base.seeds import step_seed
from subquad.engine.finite import FiniteGuard
from subquad.engine.optimizer import OptimizerOptions
from subquad.models import NetworkConfig
from subquad.models.config_text import config_to_json

CONFIG_KEY = "subquad_config"  # in a checkpoint to resume from


@dataclass(frozen=True)
class Best:
    """The evaluation that chose the best weights.

    Attributes:
        step: Optimiser steps before it.
        value: Its score in words, such as "61.20 %"; None if nothing could be scored.
    """

    step: int
    value: str | None


class Learner(LightningModule):
    """A network in training: its seeds, what its checkpoints say, and that its numbers are finite.

    All randomness of a training step (start dictionaries, dropout, drop path) is seeded by (seed,
    epoch, batch, process): a resumed run draws what the uninterrupted one would have drawn.

    A loss, gradients, weights or outputs of an evaluation that are not finite stop training with a
    ValueError; `nan_batch.pt` then holds what it takes to repeat the pass. Who writes weights calls
    `refuse_not_finite` first. Evaluations bracket what they see by the guard's `begin_evaluation`,
    `see_outputs` and `end_evaluation`.

    Args:
        network: Of `create_model`.
        seed: Of the steps' randomness.
        optimizer: Hyper-parameters of training; None: their defaults.

    A learner gives `loss_of`, `outputs_of`, the hooks of an evaluation (`on_validation_epoch_start`,
    `validation_step`, `on_validation_epoch_end`, which sets `scores` and `score`), and, unless the network
    decides all of that, `replay_options` and `for_replay`.

    Attributes:
        config: Of the network.
        scores: All that the last evaluation found; None before.
        score: Of the last evaluation, higher is better; None before.
        scored_step: At which that was.
        best: The evaluation that chose `best.safetensors`; None before.
        score_name: What `score` is called where it is logged.
        score_words: The same in a sentence.
        remedies: What helps if training becomes NaN, after "start again with".
        averages: Whether it keeps the moving average of `--ema` itself.
        files: What else it leaves in the folder of the run, and where.
    """

    score_name: ClassVar[str]
    score_words: ClassVar[str]
    remedies = "lower --optimizer.lr, lower --trainer.gradient_clip_val, or --trainer.precision 32-true"
    averages: ClassVar[bool] = False
    files: ClassVar[Mapping[str, str]] = {}

    def __init__(self, network: nn.Module, seed: int, optimizer: OptimizerOptions | None = None) -> None:
        super().__init__()
        self.network: Any = network
        config = network.config
        assert isinstance(config, NetworkConfig)
        self.config: Any = config
        self.seed = seed
        self.optimizer_options: Any = optimizer or OptimizerOptions()
        self.scores: Any = None  # `subquad.engine.scores.Scores`
        self.score: float | None = None
        self.scored_step = 0
        self.best: Best | None = None
        self.guard = FiniteGuard()

    @property
    def score_text(self) -> str | None:
        """The score of the last evaluation as it is read; None if nothing could be scored."""
        return None if self.score is None or math.isnan(self.score) else f"{100 * self.score:.2f} %"

    def on_validation_end(self) -> None:
        """Keep at which step it was."""
        if not self.trainer.sanity_checking:
            self.scored_step = self.trainer.global_step

    @abstractmethod
    def loss_of(self, batch: Any, part: str = "") -> Tensor:
        """Return the loss of a batch that training minimises, in the part of a step of that name."""

    @abstractmethod
    def outputs_of(self, batch: Any) -> Tensor:
        """Return what an evaluation makes of a batch."""

    def replay_options(self) -> dict[str, Any]:
        """Return what besides the network decides `loss_of` and `outputs_of`, as plain values."""
        return {}

    @classmethod
    def for_replay(cls, network: Any, options: Mapping[str, Any]) -> Self:
        """Rebuild the learner of `replay_options`; ValueError, TypeError or KeyError if they are wrong."""
        return cls(network, seed=0)

    def strategy(self, trainer: Any) -> str:
        """Return how the devices that Lightning's options ask for work together."""
        return trainer.strategy

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule, stepped after each optimiser step."""
        optimizer, schedule = self.optimizer_options.build(self.network, self.planned_steps())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Return the loss of a batch."""
        loss = self.loss_of(batch)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def planned_steps(self) -> int:
        """Return the optimiser steps of the whole training.

        Raises:
            ValueError: If it has no end.
        """
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):
            raise ValueError(
                "training has no end (neither --trainer.max_epochs nor --trainer.max_steps), and learning "
                "rates are those of a share of it; give one of the two, however large if --trainer.max_time "
                "ends it."
            )
        return int(steps)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step, and keep what it takes to repeat it."""
        torch.manual_seed(step_seed(self.seed, self.current_epoch, batch_idx, self.global_rank))
        self.guard.begin(self, batch, batch_idx)

    def on_before_backward(self, loss: Tensor) -> None:
        """Have the loss looked at."""
        self.guard.see_loss(loss)

    def on_after_backward(self) -> None:
        """Have the gradients looked at, before they move anything."""
        self.guard.see_gradients(self)

    def on_test_epoch_start(self) -> None:
        """Start counting anew, as validation does."""
        self.on_validation_epoch_start()

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Count a batch, as validation does."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log as validation does."""
        self.on_validation_epoch_end()

    def on_validation_start(self) -> None:
        """Evaluate nothing that is not finite."""
        self.refuse_not_finite()

    def on_train_epoch_end(self) -> None:
        """See that nothing broken is written at the end."""
        self.refuse_not_finite()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say in the checkpoint which network it is of; one that is not finite is not written."""
        written = {
            name: tensor
            for key in ("state_dict", "current_model_state", "averaging_state")
            for name, tensor in checkpoint.get(key, {}).items()
            if isinstance(tensor, Tensor)
        }
        self.refuse_not_finite(written)
        checkpoint[CONFIG_KEY] = config_to_json(self.config)

    def refuse_not_finite(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Raise ValueError, on all processes, if something is not finite that would be written.

        Args:
            tensors: What would be written; None takes all weights and statistics.
        """
        self.guard.refuse(self, tensors)
