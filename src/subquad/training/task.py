"""What the training of every network has in common."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import nn

from subquad.models import NetworkConfig
from subquad.models.checkpoint import config_to_json

CONFIG_KEY = "subquad_config"  # in a checkpoint to resume from


class Task(LightningModule):
    """A network in training: its seeds, and what its checkpoints say.

    All randomness of a training step (start dictionaries, dropout, drop path) is seeded by (seed,
    epoch, batch, process): a resumed run draws what the uninterrupted one would have drawn.

    Args:
        network: Of `create_model`.
        seed: Of the steps' randomness.

    Attributes:
        config: Of the network.
        score: Of the last evaluation, higher is better; None before.
        score_name: What `score` is called where it is logged.
        score_words: The same in a sentence.
    """

    score_name: ClassVar[str]
    score_words: ClassVar[str]

    def __init__(self, network: nn.Module, seed: int) -> None:
        super().__init__()
        self.network: Any = network
        config = network.config
        assert isinstance(config, NetworkConfig)
        self.config: Any = config
        self.seed = seed
        self.score: float | None = None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step."""
        torch.manual_seed(step_seed(self.seed, self.current_epoch, batch_idx, self.global_rank))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say in the checkpoint which network it is of."""
        checkpoint[CONFIG_KEY] = config_to_json(self.config)


def step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Return the seed of one training step on one process."""
    generator = torch.Generator().manual_seed(seed)
    for part in (epoch, batch, rank):
        drawn = int(torch.randint(2**62, (1,), generator=generator))
        generator.manual_seed((drawn + part) % 2**62)
    return int(torch.randint(2**62, (1,), generator=generator))
