"""Training and evaluation of a sequence network, as a Lightning module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import BinaryAUROC

from subquad.models import SequenceConfig
from subquad.nn.distributed import sum_over_processes
from subquad.nn.lengths import resolve_lengths
from subquad.training.optimizer import OptimizerOptions
from subquad.training.task import Task

TOLERANCE = 0.04  # of the Adding problem: a value counts as right if it is nearer than this


@dataclass(frozen=True)
class SequenceScores:
    """What an evaluation found.

    Attributes:
        count: Sequences.
        loss: Mean cross-entropy, or mean squared error of a regression.
        accuracy: Share of sequences whose class is right, or whose value is nearer than 0.04.
        is_classification: Whether classes are told, not values.
        roc_auc: Area under the ROC curve of the scores, 0 to 1; None unless there are two classes, and
            sequences of both.
    """

    count: int
    loss: float
    accuracy: float
    roc_auc: float | None
    is_classification: bool


class SequenceTask(Task):
    """A sequence network, its loss, its optimiser and its metrics.

    It takes the batches that `subquad.data.sequences` describes.

    Args:
        network: Of `create_model`.
        optimizer: Hyper-parameters of training.
        seed: Of the steps' randomness.

    Attributes:
        scores: Of the last evaluation; None before.
    """

    score_name = "accuracy"
    score_words = "accuracy"
    kind = "sequences"

    def __init__(self, network: nn.Module, optimizer: OptimizerOptions | None = None, seed: int = 0) -> None:
        super().__init__(network, seed)
        assert isinstance(self.config, SequenceConfig)
        self.optimizer_options = optimizer or OptimizerOptions()
        # Loss times sequences, right ones, sequences, those of class 1.
        self.sums = torch.zeros(4, dtype=torch.float64)
        if self.config.regression:
            self.score_words = "loss"  # pyright: ignore[reportAttributeAccessIssue]
        two_classes = self.config.num_classes == 2 and not self.config.regression
        self.roc_auc = BinaryAUROC() if two_classes else None
        self.scores: SequenceScores | None = None

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map sequences to logits or values, (batch, num_classes)."""
        # None if all are full, which is faster: a compiled network cannot see what the lengths are.
        return self.network(inputs, lengths=resolve_lengths(None, lengths, *inputs.shape[:2]))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self.loss_of(batch)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def loss_of(self, batch: dict[str, Tensor], part: str = "") -> Tensor:
        """Return the loss of a batch."""
        return self._loss(self.outputs_of(batch), batch["targets"])

    def outputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        """Return logits or values, (batch, num_classes)."""
        return self(batch["inputs"], batch["lengths"])

    def replay_options(self) -> dict[str, Any]:
        """Return nothing: the network decides it all."""
        return {}

    @classmethod
    def for_replay(cls, network: Any, options: Mapping[str, Any]) -> Self:
        """Rebuild the task of `replay_options`."""
        return cls(network)

    @property
    def score_text(self) -> str | None:
        """The score of the last evaluation as it is read."""
        return (
            f"{-self.score:.5g}" if self.config.regression and self.score is not None else super().score_text
        )

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.guard.begin_evaluation()
        self.sums.zero_()
        if self.roc_auc is not None:
            self.roc_auc.reset()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch."""
        real = batch["index"] >= 0  # an uneven share of several processes is filled up
        outputs = self.outputs_of(batch)[real]
        targets = batch["targets"][real]
        if not len(targets):
            return
        right = self._right(outputs, targets).double().sum()
        loss = self._loss(outputs, targets).double() * len(targets)
        self.guard.see_outputs(self, batch, batch_idx, outputs, loss)
        positive = (targets == 1).double().sum()
        self.sums += torch.stack([loss, right, torch.full_like(right, len(targets)), positive]).cpu()
        if self.roc_auc is not None:
            self.roc_auc.update(outputs.float().softmax(dim=1)[:, 1], targets)

    def on_validation_epoch_end(self) -> None:
        """Sum over processes, then log what all of them agree on."""
        self.guard.end_evaluation(self)
        sums = self.sums.to(self.device)
        sum_over_processes(sums)
        loss, right, count, positive = sums.tolist()
        auc = None
        if self.roc_auc is not None and 0 < positive < count:
            auc = float(self.roc_auc.compute())
        self.scores = SequenceScores(int(count), loss / count, right / count, auc, not self.config.regression)
        # Nearness within 0.04 says nothing of values of another scale.
        self.score = -self.scores.loss if self.config.regression else self.scores.accuracy
        # Equal on all processes already: nothing is left to synchronise.
        log = {"val/loss": self.scores.loss, "val/accuracy": self.scores.accuracy}
        if auc is not None:
            log["val/roc_auc"] = auc
        self.log_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in log.items()})
        value = torch.tensor(self.scores.accuracy, dtype=torch.float32)
        self.log(self.score_name, value, prog_bar=True, logger=False)

    def on_test_epoch_start(self) -> None:
        """Start counting anew."""
        self.on_validation_epoch_start()

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log as validation does."""
        self.on_validation_epoch_end()

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule, stepped after each optimiser step."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = self.optimizer_options.build(self.network, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.config.regression:
            return F.mse_loss(outputs.squeeze(1), targets)
        return F.cross_entropy(outputs, targets)

    def _right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.config.regression:
            return (outputs.squeeze(1) - targets).abs() < TOLERANCE
        return outputs.argmax(dim=1) == targets
