"""AdamW with warm-up and poly decay, and what is exempt from weight decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)
Exempt = Literal["backbone_norms", "norms_and_biases", "nothing"]


@dataclass(frozen=True, kw_only=True)
class AdamWOptions:
    """Defaults are the published recipe of Light-Ham on ADE20K (batch 16).

    Attributes:
        lr: Learning rate after warm-up, > 0.
        betas: Of Adam's two means.
        weight_decay: >= 0.
        exempt: What has no weight decay: "backbone_norms" (published: neither the head's norms nor
            any bias is exempt), "norms_and_biases" (every norm, bias and per-channel scale), "nothing".
        warmup_steps: Optimiser steps of linear warm-up; at most a tenth of the training.
        warmup_ratio: The first step's share of the learning rate.
        power: Of the decay (1 - step / steps) ** power.
    """

    lr: float = 6e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    exempt: Exempt = "backbone_norms"
    warmup_steps: int = 1500
    warmup_ratio: float = 1e-6
    power: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.lr < math.inf:
            raise ValueError(f"optimizer.lr must be positive, got {self.lr}.")
        for name in ("weight_decay", "warmup_steps", "warmup_ratio", "power"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"optimizer.{name} must be 0 or more, got {getattr(self, name)}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optimizer.betas must be two numbers in [0, 1), got {self.betas}.")
        if self.exempt not in get_args(Exempt):
            raise ValueError(f"optimizer.exempt must be one of {get_args(Exempt)}, got {self.exempt!r}.")

    def build(self, network: nn.Module, steps: int) -> tuple[AdamW, LambdaLR]:
        """Return the optimiser and its schedule of `steps` optimiser steps."""
        groups = parameter_groups(network, self.weight_decay, self.exempt)
        optimizer = AdamW(groups, lr=self.lr, betas=self.betas)
        return optimizer, LambdaLR(optimizer, lambda step: self.factor(step, steps))

    def factor(self, step: int, steps: int) -> float:
        """Return the share of the learning rate at a step, 0 to 1."""
        poly = max(0.0, 1 - step / max(1, steps)) ** self.power
        warmup = min(self.warmup_steps, steps // 10)
        if step >= warmup:
            return poly
        return poly * (1 - (1 - step / warmup) * (1 - self.warmup_ratio))


def parameter_groups(network: nn.Module, weight_decay: float, exempt: Exempt) -> list[dict[str, Any]]:
    """Split the trainable parameters into those with and those without weight decay."""
    norm_parameters = {
        f"{name}.{kind}"
        for name, module in network.named_modules()
        if isinstance(module, NORMS)
        for kind, _ in module.named_parameters(recurse=False)
    }

    def is_exempt(name: str, dims: int) -> bool:
        if exempt == "norms_and_biases":
            return dims <= 1
        return exempt == "backbone_norms" and name in norm_parameters and name.startswith("backbone.")

    trainable = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    return [
        {
            "params": [p for n, p in trainable if not is_exempt(n, p.dim())],
            "weight_decay": weight_decay,
        },
        {"params": [p for n, p in trainable if is_exempt(n, p.dim())], "weight_decay": 0.0},
    ]
