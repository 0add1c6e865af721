"""Light-Ham: three feature maps, pointwise convolutions and one Hamburger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.models.backbones import make_backbone
from subquad.models.config import SegmentationConfig
from subquad.nn import Hamburger, NoContext, SelfAttention
from subquad.nn.conv import Pointwise, make_norm
from subquad.nn.ham import Start
from subquad.nn.hamburger import Norm
from subquad.ops import NMF, Solver

Context = Literal["decomposition", "attention", "none"]


@dataclass(frozen=True, kw_only=True)
class LightHamConfig(SegmentationConfig):
    """Options of `LightHam`.

    Attributes:
        backbone: "van_tiny" to "van_huge", "conv_tiny", or "timm/NAME". Its three coarsest maps
            are used.
        ham_channels: Width at which the context is computed.
        channels: Width before the classifier.
        ham: "decomposition", or in its place "attention" (softmax self-attention) or "none" (the
            same network without global context).
        solver: See `subquad.nn.Ham`, as `rank`, `heads`, `steps`, `eval_steps`, `grad_steps`, `start`.
        norm: Of the head: "group" (the paper's, 32 groups) or "batch". Group norm has global
            statistics: with it, even `ham="none"` knows a little about the whole image.
        dropout: Of whole channels before the classifier.
        drop_path: Stochastic depth rate of the backbone's last block.
    """

    family: ClassVar[str] = "light_ham"

    num_classes: int = 150
    backbone: str = "van_tiny"
    ham_channels: int = 256
    channels: int = 256
    ham: Context = "decomposition"
    solver: Solver = NMF()  # noqa: RUF009  a frozen value
    rank: int = 64
    heads: int = 1
    steps: int = 6
    eval_steps: int | None = 7
    grad_steps: int = 0
    start: Start = "random"
    norm: Norm = "group"
    dropout: float = 0.1
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ham not in get_args(Context):
            raise ValueError(f"ham must be one of {', '.join(get_args(Context))}, got {self.ham!r}.")

    def build(self) -> LightHam:
        """Build the network, randomly initialised."""
        return LightHam(self)


class LightHam(nn.Module):
    """A backbone and the Light-Ham head (Enjoy-Hamburger, seg_light_ham; the head of SegNeXt).

    Attributes:
        config: What it was built from.
    """

    def __init__(self, config: LightHamConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone: Any = make_backbone(
            config.backbone, in_channels=config.in_channels, drop_path=config.drop_path
        )
        self.head = LightHamHead(self.backbone.channels[-3:], config)

    def forward(self, images: Tensor) -> Tensor:
        """Map images to logits.

        Args:
            images: Normalised, (batch, in_channels, H, W), any H and W.

        Returns:
            Logits (batch, num_classes, H, W).

        Raises:
            ValueError: If the images are not (batch, in_channels, H, W).
        """
        if images.dim() != 4 or images.shape[1] != self.config.in_channels:
            raise ValueError(
                f"expected images (batch, {self.config.in_channels}, height, width), got "
                f"{tuple(images.shape)}."
            )
        logits = self.head(self.backbone(images)[-3:])
        return F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)


class LightHamHead(nn.Module):
    """Concatenate the maps at the finest size, squeeze, add context, align, classify."""

    def __init__(self, in_channels: tuple[int, ...], config: LightHamConfig) -> None:
        super().__init__()
        width = config.ham_channels
        self.squeeze = ConvNormReLU(sum(in_channels), width, config.norm)
        self.hamburger = Hamburger(
            width,
            version="v1",
            dim=width,
            rank=config.rank,
            solver=config.solver,
            heads=config.heads,
            steps=config.steps,
            eval_steps=config.eval_steps,
            grad_steps=config.grad_steps,
            start=config.start,
            norm=config.norm,
            ham=_in_the_hams_place(config),
        )
        self.align = ConvNormReLU(width, config.channels, config.norm)
        self.dropout = nn.Dropout2d(config.dropout)
        self.classifier = nn.Conv2d(config.channels, config.num_classes, 1)
        self._init_weights()

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the feature maps, fine to coarse, to logits at the size of the finest."""
        size = maps[0].shape[2:]
        same_size = [
            F.interpolate(m, size=size, mode="bilinear", align_corners=False) if m.shape[2:] != size else m
            for m in maps
        ]
        x = self.hamburger(self.squeeze(torch.cat(same_size, dim=1)))
        return self.classifier(self.dropout(self.align(x)))

    def _init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)


class ConvNormReLU(nn.Module):
    """Pointwise convolution without bias, norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = Pointwise(in_channels, out_channels, bias=False)
        self.norm = make_norm(norm, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


def _in_the_hams_place(config: LightHamConfig) -> nn.Module | None:
    if config.ham == "attention":
        return SelfAttention(config.ham_channels, config.heads)
    return NoContext() if config.ham == "none" else None
