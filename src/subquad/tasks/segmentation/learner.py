"""Training and evaluation of a segmentation network, as a Lightning module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from subquad.engine.freeze import freeze
from subquad.engine.learner import Learner
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.preprocess import preprocess
from subquad.models import SegmentationConfig
from subquad.models.segmentation.class_map import class_map
from subquad.nn.distributed import sum_over_processes
from subquad.tasks.segmentation.class_report import ClassReport
from subquad.tasks.segmentation.confusion import ConfusionMatrix, SegmentationScores
from subquad.tasks.segmentation.labels import channels_last, most_likely
from subquad.tasks.segmentation.losses.cross_entropy import pixel_cross_entropy
from subquad.tasks.segmentation.losses.options import LossOptions
from subquad.tasks.segmentation.losses.strips import coarse_cross_entropy
from subquad.tasks.segmentation.protocol import EvaluationProtocol, predict_scores, protocol_for


class SegmentationLearner(Learner):
    """A segmentation network, its loss, its optimiser and its metrics.

    It takes the batches that `subquad.tasks.segmentation.data.batches` describes.

    Args:
        network: Of `create_model`.
        optimizer: Hyper-parameters of training.
        class_weights: Of the cross-entropy, one a class; empty for none.
        seed: Of the steps' randomness.
        loss: Which losses are added up, for the network's logits and for its auxiliary head's.
        protocol: How images are evaluated; None, as its defaults, gives them to the network as they are.
        frozen: Names of parts that stay as they are, the statistics of their batch norms too.

    Attributes:
        scores: Of the last evaluation; None before.
    """

    score_name = "mean_iou"
    score_words = "mean IoU"
    class_weights: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerOptions | None = None,
        class_weights: Sequence[float] = (),
        seed: int = 0,
        *,
        loss: LossOptions | None = None,
        protocol: EvaluationProtocol | None = None,
        frozen: Sequence[str] = (),
    ) -> None:
        network = channels_last(network)
        super().__init__(network, seed, optimizer)
        assert isinstance(self.config, SegmentationConfig)
        self.loss_options = loss or LossOptions()
        shown = protocol_for(self.config, protocol)
        self.protocol = None if shown == EvaluationProtocol() else shown
        self.frozen = tuple(frozen)
        freeze(network, frozen)
        self.auxiliary_weight: float = getattr(self.config, "auxiliary_weight", 0.0)
        if class_weights and len(class_weights) != self.config.num_classes:
            raise ValueError(f"{len(class_weights)} class weights for {self.config.num_classes} classes.")
        weights = torch.tensor(class_weights) if class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)
        self.confusion = ConfusionMatrix(self.config.num_classes, names=self.config.class_names)
        self.loss_sum = torch.zeros(2, dtype=torch.float64)  # loss times pixels, pixels
        self.scores: SegmentationScores | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (batch, channels, H, W) to logits (batch, classes, H, W)."""
        return self.network(self._normalized(images))

    def train(self, mode: bool = True) -> Self:
        """Set the mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        self._hold_frozen()
        return self

    def configure_callbacks(self) -> list[Callback]:
        """Bring along what tells of single classes."""
        return [ClassReport()]

    def on_train_start(self) -> None:
        """Set the mode of frozen parts: Lightning starts with the modes that it finds."""
        self._hold_frozen()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the loss of a batch, that of the auxiliary head included."""
        loss, extra = self._losses(batch)
        if extra is not None:
            self.log("train/aux_loss", extra)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def loss_of(self, batch: dict[str, Any], part: str = "") -> Tensor:
        """Return the loss of a batch, that of the auxiliary head included."""
        return self._losses(batch)[0]

    def outputs_of(self, batch: dict[str, Any]) -> Tensor:
        """Return logits by the protocol, up to a constant at each pixel."""
        return self._evaluated(batch["image"])

    def replay_options(self) -> dict[str, Any]:
        """Return loss, weights of classes, frozen parts and protocol."""
        return {
            "class_weights": [] if self.class_weights is None else self.class_weights.tolist(),
            "loss": dataclasses.asdict(self.loss_options),
            "protocol": None if self.protocol is None else dataclasses.asdict(self.protocol),
            "frozen": list(self.frozen),
        }

    @classmethod
    def for_replay(cls, network: Any, options: Mapping[str, Any]) -> Self:
        """Rebuild the learner of `replay_options`."""
        protocol = options["protocol"]
        return cls(
            network,
            class_weights=options["class_weights"],
            loss=LossOptions(**options["loss"]),
            protocol=None if protocol is None else EvaluationProtocol(**protocol),
            frozen=options["frozen"],
        )

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.guard.begin_evaluation()
        self.confusion.reset()
        self.loss_sum.zero_()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Count a batch."""
        labels = batch["labels"]
        if self.protocol is None:
            coarse = self.network.coarse(self._normalized(batch["image"]))
            logits = coarse.logits  # they are finite if and only if those of the pixels are
            answers, loss = class_map(coarse), coarse_cross_entropy(coarse, labels)
        else:
            logits = self.outputs_of(batch)
            answers, loss = most_likely(logits, dim=1), pixel_cross_entropy(logits, labels)
        self.guard.see_outputs(self, batch, batch_idx, logits)
        self.confusion.update(answers, labels)
        pixels = (labels != self.confusion.ignore_index).sum().double().cpu()
        self.loss_sum += torch.stack([loss.double().cpu() * pixels, pixels])

    def on_validation_epoch_end(self) -> None:
        """Sum over processes, then log what all of them agree on."""
        self.guard.end_evaluation(self)
        self.confusion.counts = self.confusion.counts.to(self.device)
        self.confusion.sum_over_processes()
        loss_sum = self.loss_sum.to(self.device)
        sum_over_processes(loss_sum)
        self.scores = self.confusion.scores()
        self.score = self.scores.mean_iou
        # Equal on all processes already: nothing is left to synchronise.
        log = {
            "val/loss": loss_sum[0] / loss_sum[1],
            "val/mean_iou": self.scores.mean_iou,
            "val/pixel_accuracy": self.scores.pixel_accuracy,
        }
        self.log_dict({name: torch.as_tensor(value, dtype=torch.float32) for name, value in log.items()})
        self.log(
            "mean_iou",
            torch.as_tensor(self.scores.mean_iou, dtype=torch.float32),
            prog_bar=True,
            logger=False,
        )

    def _losses(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        """Return the loss of a batch and, before it is weighted, the part of the auxiliary head."""
        x, labels = self._normalized(batch["image"]), batch["labels"]
        try:
            logits, auxiliary = self.network.coarse_with_auxiliary(x)
        except ValueError as error:
            if "Expected more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                "batch norm has no statistics of a batch of one picture that the network reduces to one "
                f"pixel; give a larger --data.batch_size (it is {len(x)}), or a larger --data.crop."
            ) from error
        loss = self.loss_options.evaluate_coarse(logits, labels, self.class_weights)
        if auxiliary is None:
            return loss, None
        extra = self.loss_options.evaluate_coarse(auxiliary, labels, self.class_weights)
        return loss + self.auxiliary_weight * extra, extra

    def _hold_frozen(self) -> None:
        for name in self.frozen:
            self.network.get_submodule(name).eval()

    def _normalized(self, images: Tensor) -> Tensor:
        return preprocess(images, self.config).contiguous(memory_format=torch.channels_last)

    def _evaluated(self, images: Tensor) -> Tensor:
        """Return logits by the protocol, up to a constant at each pixel."""
        if self.protocol is None:
            return self(images)
        scores = predict_scores(self.network, images, self.protocol)
        if self.protocol.merge == "probabilities":
            return scores.clamp(min=torch.finfo(scores.dtype).tiny).log()
        views = len(self.protocol.scales) * (2 if self.protocol.flip else 1)
        return scores / views  # the mean, of which the cross-entropy says something
