"""Training and evaluation of a sequence network, as a Lightning module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import BinaryAUROC

from subquad.engine.learner import Learner
from subquad.engine.optimizer import OptimizerOptions
from subquad.models import SequenceConfig
from subquad.nn.lengths import resolve_lengths
from subquad.tasks.sequences.scores import SequenceScores, SequenceSums


class SequenceLearner(Learner):
    """A sequence network, its loss, its optimiser and its metrics.

    It takes the batches that `subquad.tasks.sequences.data` describes.

    Args:
        network: Of `create_model`.
        optimizer: Hyper-parameters of training.
        seed: Of the steps' randomness.

    Attributes:
        scores: Of the last evaluation; None before.
    """

    score_name = "accuracy"
    score_words = "accuracy"

    def __init__(self, network: nn.Module, optimizer: OptimizerOptions | None = None, seed: int = 0) -> None:
        super().__init__(network, seed, optimizer)
        assert isinstance(self.config, SequenceConfig)
        regression = self.config.regression
        if regression:
            self.score_name, self.score_words = "rmse", "RMSE"  # pyright: ignore[reportAttributeAccessIssue]
        self.sums = SequenceSums(None if regression else self.config.num_classes, self.config.target_mean)
        self.roc_auc = BinaryAUROC() if self.config.num_classes == 2 and not regression else None
        self.scores: SequenceScores | None = None

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map sequences to logits or values, (batch, num_classes)."""
        # None if all are full, which is faster: a compiled network cannot see what the lengths are.
        return self.network(inputs, lengths=resolve_lengths(None, lengths, *inputs.shape[:2]))

    def loss_of(self, batch: dict[str, Tensor], part: str = "") -> Tensor:
        """Return the loss of a batch."""
        return self._loss(self.outputs_of(batch), batch["targets"])

    def outputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        """Return logits or values, (batch, num_classes)."""
        return self(batch["inputs"], batch["lengths"])

    @property
    def score_text(self) -> str | None:
        """The score of the last evaluation as it is read."""
        return (
            f"{-self.score:.5g}" if self.config.regression and self.score is not None else super().score_text
        )

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.guard.begin_evaluation()
        self.sums.reset()
        if self.roc_auc is not None:
            self.roc_auc.reset()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch."""
        real = batch["index"] >= 0  # an uneven share of several processes is filled up
        outputs = self.outputs_of(batch)[real]
        targets = batch["targets"][real]
        if not len(targets):
            return
        loss = self._loss(outputs, targets)
        self.guard.see_outputs(self, batch, batch_idx, outputs, loss)
        self.sums.update(outputs, targets, loss)
        if self.roc_auc is not None:
            self.roc_auc.update(outputs.float().softmax(dim=1)[:, 1], targets)

    def on_validation_epoch_end(self) -> None:
        """Sum over processes, then log what all of them agree on."""
        self.guard.end_evaluation(self)
        self.sums.sum_over_processes(self.device)
        auc = float(self.roc_auc.compute()) if self.roc_auc is not None and self.sums.has_both else None
        scores = self.scores = self.sums.scores(self.config.class_names, auc)
        # Nearness within 0.04 says nothing of values of another scale.
        self.score = scores.accuracy if scores.rmse is None else -scores.rmse
        # Equal on all processes already: nothing is left to synchronise.
        names = "loss", "accuracy", "roc_auc", "f1", "mae", "rmse", "r2"
        found = {name: getattr(scores, name) for name in names}
        log = {name: torch.tensor(x, dtype=torch.float32) for name, x in found.items() if x is not None}
        self.log_dict({f"val/{name}": value for name, value in log.items()})
        self.log(self.score_name, log[self.score_name], prog_bar=True, logger=False)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.config.regression:
            # In the units of the network, so that one learning rate suits values of any scale.
            scale = self.config.target_std
            return F.mse_loss(outputs.squeeze(1) / scale, targets / scale)
        return F.cross_entropy(outputs, targets)
