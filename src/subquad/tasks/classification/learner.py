"""Training and evaluation of a classifier, as a Lightning module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.engine.learner import Learner
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.preprocess import preprocess
from subquad.models import ClassifierConfig
from subquad.tasks.classification.data.batches import kept_by
from subquad.tasks.classification.mixing import Mixing, MixOptions
from subquad.tasks.classification.scores import ClassificationCounts, ClassificationScores


class ClassificationLearner(Learner):
    """A classifier, its loss, its optimiser and its metrics.

    It takes the batches that `subquad.tasks.classification.data.batches` describes.

    Args:
        network: Of `create_model`.
        optimizer: Hyper-parameters of training.
        seed: Of the steps' randomness.
        mix: What a step does with its pictures and classes.

    Attributes:
        scores: Of the last evaluation; None before.
    """

    score_name = "top1"
    score_words = "top-1 accuracy"

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerOptions | None = None,
        seed: int = 0,
        *,
        mix: MixOptions | None = None,
    ) -> None:
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        super().__init__(network, seed, optimizer)
        assert isinstance(self.config, ClassifierConfig)
        self.mixing = Mixing(mix or MixOptions(), self.config.num_classes)
        self.counts = ClassificationCounts(self.config.num_classes)
        self.scores: ClassificationScores | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (batch, channels, H, W) to logits (batch, num_classes)."""
        return self.network(self._normalized(images))

    def loss_of(self, batch: dict[str, Tensor], part: str = "") -> Tensor:
        """Return the loss of a batch, erased and mixed at random."""
        images, shares = self.mixing(self._normalized(batch["image"]), batch["label"])
        return self.mixing.loss(self.network(images), shares)

    def outputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        """Return logits (batch, num_classes)."""
        return self(batch["image"])

    def replay_options(self) -> dict[str, Any]:
        """Return how batches are mixed."""
        return {"mix": dataclasses.asdict(self.mixing.options)}

    @classmethod
    def for_replay(cls, network: Any, options: Mapping[str, Any]) -> Self:
        """Rebuild the learner of `replay_options`."""
        return cls(network, mix=MixOptions(**options["mix"]))

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.guard.begin_evaluation()
        self.counts.reset()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch."""
        real = kept_by(batch)  # an uneven share of several processes is filled up
        if not bool(real.any()):
            return
        logits, labels = self.outputs_of(batch)[real], batch["label"][real]
        loss = F.cross_entropy(logits, labels)
        self.guard.see_outputs(self, batch, batch_idx, logits, loss)
        self.counts.update(logits, labels, loss)

    def on_validation_epoch_end(self) -> None:
        """Sum over processes, then log what all of them agree on."""
        self.guard.end_evaluation(self)
        self.counts.sum_over_processes(self.device)
        scores = self.scores = self.counts.scores(self.config.class_names)
        self.score = scores.top1
        # Equal on all processes already: nothing is left to synchronise.
        found = {name: getattr(scores, name) for name in ("loss", "top1", "top5", "f1")}
        log = {name: torch.tensor(x, dtype=torch.float32) for name, x in found.items() if x is not None}
        self.log_dict({f"val/{name}": value for name, value in log.items()})
        self.log("top1", log["top1"], prog_bar=True, logger=False)

    def _normalized(self, images: Tensor) -> Tensor:
        return preprocess(images, self.config).contiguous(memory_format=torch.channels_last)
