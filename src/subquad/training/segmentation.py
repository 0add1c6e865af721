"""Training and evaluation of a segmentation network, as a Lightning module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from subquad.evaluation import ConfusionMatrix, SegmentationScores, preprocess
from subquad.models import SegmentationConfig
from subquad.models.checkpoint import config_to_json
from subquad.nn.distributed import sum_over_processes
from subquad.training.losses import pixel_cross_entropy
from subquad.training.optimizer import AdamWOptions

CONFIG_KEY = "subquad_config"  # in a checkpoint to resume from


class SegmentationTask(LightningModule):
    """A network, its loss, its optimiser and its metrics.

    It takes the batches that `subquad.data.loading` describes. All randomness of a training step
    (start dictionaries, dropout, drop path) is seeded by (seed, epoch, batch, process): a resumed
    run draws what the uninterrupted one would have drawn.

    Args:
        network: Of `create_model`.
        optimizer: Hyper-parameters of training.
        class_weights: Of the loss, one a class; empty for none.
        seed: Of the steps' randomness.

    Attributes:
        scores: Of the last evaluation; None before.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        optimizer: AdamWOptions | None = None,
        class_weights: Sequence[float] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.optimizer_options = optimizer or AdamWOptions()
        self.seed = seed
        config = network.config
        assert isinstance(config, SegmentationConfig)
        self.config = config
        if class_weights and len(class_weights) != config.num_classes:
            raise ValueError(f"{len(class_weights)} class weights for {config.num_classes} classes.")
        weights = torch.tensor(class_weights) if class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)
        self.confusion = ConfusionMatrix(config.num_classes)
        self.loss_sum = torch.zeros(2, dtype=torch.float64)  # loss times pixels, pixels
        self.scores: SegmentationScores | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (batch, channels, H, W) to logits (batch, classes, H, W)."""
        x = preprocess(images, self.config).contiguous(memory_format=torch.channels_last)
        return self.network(x)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step."""
        torch.manual_seed(step_seed(self.seed, self.current_epoch, batch_idx, self.global_rank))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        logits = self(batch["image"])
        loss = pixel_cross_entropy(logits, batch["labels"], class_weights=self.class_weights)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self.confusion.reset()
        self.loss_sum.zero_()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Count a batch."""
        logits, labels = self(batch["image"]), batch["labels"]
        self.confusion.update(logits.argmax(dim=1), labels)
        pixels = (labels != self.confusion.ignore_index).sum().double().cpu()
        loss = pixel_cross_entropy(logits, labels).double().cpu()
        self.loss_sum += torch.stack([loss * pixels, pixels])

    def on_validation_epoch_end(self) -> None:
        """Sum over processes, then log what all of them agree on."""
        self.confusion.counts = self.confusion.counts.to(self.device)
        self.confusion.sum_over_processes()
        loss_sum = self.loss_sum.to(self.device)
        sum_over_processes(loss_sum)
        self.scores = self.confusion.scores()
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

    def on_test_epoch_start(self) -> None:
        """Start counting anew."""
        self.on_validation_epoch_start()

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Count a batch."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log as validation does."""
        self.on_validation_epoch_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say in the checkpoint which network it is of."""
        checkpoint[CONFIG_KEY] = config_to_json(self.config)

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule, stepped after each optimiser step."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = self.optimizer_options.build(self.network, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Return the seed of one training step on one process."""
    generator = torch.Generator().manual_seed(seed)
    for part in (epoch, batch, rank):
        drawn = int(torch.randint(2**62, (1,), generator=generator))
        generator.manual_seed((drawn + part) % 2**62)
    return int(torch.randint(2**62, (1,), generator=generator))
