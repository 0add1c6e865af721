"""The optimisers and schedules of the papers, as one set of options."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from subquad.base.limits import LARGEST_RATE
from subquad.engine.groups import Exempt, parameter_groups
from subquad.engine.schedule import cosine_decay, held_step, poly_decay, warm_up

OptimizerKind = Literal["adamw", "sgd"]
Decay = Literal["poly", "cosine"]


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """Defaults are the published recipe of Light-Ham on ADE20K (batch 16).

    Attributes:
        kind: "adamw" or "sgd" (with momentum, not Nesterov's).
        lr: Learning rate after warm-up, > 0.
        betas: Of AdamW's two means.
        momentum: Of SGD, in [0, 1).
        weight_decay: >= 0.
        exempt: What has no weight decay: "backbone_norms" (Light-Ham: neither the head's norms nor
            any bias is exempt), "backbone_norms_but_stem" (SegNeXt: the stem's norms decay),
            "norms_and_biases" (HamNet on VOC: every norm, bias and per-channel scale), "nothing".
        head_lr: Factor of the learning rate of all that is not in the backbone, > 0.
        bias_lr: Factor of the learning rate of all biases, > 0.
        backbone_lr: Factor of the learning rate of the backbone, > 0; less than 1 keeps more of what it
            learned before.
        layer_decay: Factor of the learning rate from each stage of the backbone to the one before it, in
            (0, 1].
        warmup_steps: Optimiser steps of linear warm-up; at most a tenth of the training.
        warmup_ratio: The first step's share of the learning rate.
        decay: "poly", (1 - step / steps) ** power, or "cosine", half a wave from 1 to 0.
        power: Of "poly"; 0 is no decay at all.
        min_lr: Where the decay ends, in [0, lr]: lr becomes (lr - min_lr) * decay + min_lr; parts whose rate
            is lower than that from the start keep it.
        update_every: Steps between two changes of the learning rate.
    """

    kind: OptimizerKind = "adamw"
    lr: float = 6e-5
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    weight_decay: float = 0.01
    exempt: Exempt = "backbone_norms"
    head_lr: float = 1.0
    bias_lr: float = 1.0
    backbone_lr: float = 1.0
    layer_decay: float = 1.0
    warmup_steps: int = 1500
    warmup_ratio: float = 1e-6
    decay: Decay = "poly"
    power: float = 1.0
    min_lr: float = 0.0
    update_every: int = 1

    def __post_init__(self) -> None:
        for name, choices in {"kind": OptimizerKind, "exempt": Exempt, "decay": Decay}.items():
            if getattr(self, name) not in get_args(choices):
                raise ValueError(
                    f"optimizer.{name} must be one of {get_args(choices)}, got {getattr(self, name)!r}."
                )
        for name in ("lr", "head_lr", "bias_lr", "backbone_lr", "layer_decay"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"optimizer.{name} must be positive, got {getattr(self, name)}.")
        if self.layer_decay > 1:
            raise ValueError(f"optimizer.layer_decay must be at most 1, got {self.layer_decay}.")
        if (most := self.lr * max(self.head_lr, self.backbone_lr, 1) * max(self.bias_lr, 1)) > LARGEST_RATE:
            raise ValueError(
                f"optimizer.lr, also times head_lr, backbone_lr and bias_lr, may be {LARGEST_RATE:g} at "
                f"most, got {most:g}."
            )
        for name in ("weight_decay", "warmup_steps", "warmup_ratio", "power", "min_lr"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"optimizer.{name} must be 0 or more, got {getattr(self, name)}.")
        if self.min_lr > self.lr:
            raise ValueError(f"optimizer.min_lr must be at most lr = {self.lr}, got {self.min_lr}.")
        if self.update_every < 1:
            raise ValueError(f"optimizer.update_every must be at least 1, got {self.update_every}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optimizer.betas must be two numbers in [0, 1), got {self.betas}.")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"optimizer.momentum must be in [0, 1), got {self.momentum}.")

    @property
    def depends_on_length(self) -> bool:
        """Whether the learning rate of a step depends on how many steps there are."""
        return self.decay == "cosine" or self.power > 0 or self.warmup_steps > 0

    def build(self, network: nn.Module, steps: int) -> tuple[Optimizer, LambdaLR]:
        """Return the optimiser and its schedule of `steps` optimiser steps."""
        groups = parameter_groups(
            network,
            lr=self.lr,
            weight_decay=self.weight_decay,
            exempt=self.exempt,
            head_lr=self.head_lr,
            bias_lr=self.bias_lr,
            backbone_lr=self.backbone_lr,
            layer_decay=self.layer_decay,
        )
        if self.kind == "sgd":
            optimizer: Optimizer = SGD(groups, lr=self.lr, momentum=self.momentum)
        else:
            optimizer = AdamW(groups, lr=self.lr, betas=self.betas)

        def schedule(lr: float) -> Callable[[int], float]:
            return lambda step: self.factor(step, steps, min_share=min(self.min_lr / lr, 1))

        return optimizer, LambdaLR(optimizer, [schedule(group["lr"]) for group in groups])

    def factor(self, step: int, steps: int, *, min_share: float | None = None) -> float:
        """Return the share of the learning rate at a step, 0 to 1.

        Args:
            step: Of the optimiser, from 0.
            steps: Of the training.
            min_share: Share at the end; min_lr / lr if not given. Groups of another learning rate
                end at the same `min_lr`, not at the same share.
        """
        end = self.min_lr / self.lr if min_share is None else min_share
        held = held_step(step, self.update_every)
        left = cosine_decay(held, steps) if self.decay == "cosine" else poly_decay(held, steps, self.power)
        return ((1 - end) * left + end) * warm_up(
            step, min(self.warmup_steps, steps // 10), self.warmup_ratio
        )
