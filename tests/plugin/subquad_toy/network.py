"""The network of the task, and a solver that any ham can have."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from subquad.models import Network, WithHam, register, register_model, register_solver
from subquad.nn import Ham
from subquad.ops import NMF


@register_solver
@dataclass(frozen=True)
class Shrunk(NMF):
    """NMF that answers with a share of its codes."""

    share: float = 0.9

    def final_codes(self, problem, factors):
        return self.share * super().final_codes(problem, factors)


@dataclass(frozen=True, kw_only=True)
class ToyConfig(WithHam):
    """What the network is told.

    Attributes:
        width: Channels.
    """

    family: ClassVar[str] = "toy"
    task: ClassVar[str] = "toy"

    num_classes: int = 2
    width: int = 8


@register(ToyConfig)
class ToyNetwork(Network):
    """Maps waves (batch, 1, n) to logits (batch, 2)."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed = nn.Sequential(nn.Conv1d(1, config.width, 5, padding=2), nn.ReLU())
        self.ham = Ham(config.width, rank=2, **config.ham_options)
        self.head = nn.Linear(config.width, config.num_classes)

    def forward(self, waves):
        x = self.embed(waves)
        return self.head((x - self.ham(x)).abs().mean(2))


register_model("toy_small", ToyConfig())
register_model("toy_wide", ToyConfig(width=12))
