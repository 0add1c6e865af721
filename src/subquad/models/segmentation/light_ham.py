"""Light-Ham: three feature maps, pointwise convolutions and one Hamburger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subquad.base.limits import LARGEST_WIDTH
from subquad.models.backbones import backbone_papers, make_backbone
from subquad.models.fields import check_range
from subquad.models.ham_config import Context
from subquad.models.registry import register
from subquad.models.segmentation.config import HamConfig
from subquad.models.segmentation.detail import DetailPath, FineCorrection
from subquad.models.segmentation.heads import ConvNormReLU, init_head
from subquad.models.segmentation.network import SegmentationNetwork
from subquad.nn import Hamburger, NoContext, SelfAttention
from subquad.nn.hamburger import Norm


@dataclass(frozen=True, kw_only=True)
class LightHamConfig(HamConfig):
    """Options of `LightHam`.

    Attributes:
        backbone: "van_tiny" to "van_huge", "mscan_tiny" to "mscan_large", "conv_tiny", or
            "timm/NAME". Its three coarsest maps are used.
        output_stride: Of the backbone's coarsest map, where that can be chosen; None for its own.
        ham_channels: Width at which the context is computed.
        channels: Width before the classifier.
        context: "hamburger", or in the place of its decomposition "attention" (softmax self-attention)
            or "none" (the same network without global context).
        norm: Of the head: "group" (the paper's, 32 groups) or "batch". Group norm has global
            statistics: with it, even `context="none"` knows a little about the whole image.
        detail: Channels to which the map before the three, at stride 4, is reduced in a `DetailPath` behind
            the context, for thin things; 0 for no such path, as in the paper.
        detail_stride: 2 adds a `FineCorrection` by the map at stride 2, where the backbone has one, as
            EfficientNets do; 4 for the detail path alone.
    """

    family: ClassVar[str] = "light_ham"

    num_classes: int = 150
    backbone: str = "van_tiny"
    output_stride: int | None = None
    ham_channels: int = 256
    channels: int = 256
    context: Context = "hamburger"
    norm: Norm = "group"
    detail: int = 0
    detail_stride: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, LARGEST_WIDTH, "ham_channels", "channels", "output_stride")
        check_range(self, 0, LARGEST_WIDTH, "detail")
        if self.detail_stride not in (2, 4):
            raise ValueError(f"detail_stride must be 4 or 2, got {self.detail_stride}.")
        if self.detail_stride == 2 and not self.detail:
            raise ValueError("detail_stride 2 needs a detail path; give detail, such as 32 channels.")

    @property
    def fine_maps(self) -> int:
        """How many maps the detail paths use, finer than the three that the context sees."""
        return (2 if self.detail_stride == 2 else 1) if self.detail else 0

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the network is of."""
        return ("Geng et al., ICLR 2021", *backbone_papers(self.backbone))


@register(LightHamConfig)
class LightHam(SegmentationNetwork):
    """A backbone and the Light-Ham head (Enjoy-Hamburger, seg_light_ham); with MSCAN it is SegNeXt.

    Args:
        config: Its options.
    """

    def __init__(self, config: LightHamConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(
            config.backbone,
            in_channels=config.in_channels,
            drop_path=config.drop_path,
            output_stride=config.output_stride,
        )
        used = 3 + config.fine_maps
        if config.detail and len(self.backbone.channels) < used:
            there = len(self.backbone.channels) - 3
            raise ValueError(
                f"{config.backbone} has no map finer than the three that the context sees, so detail must be "
                f"0, got {config.detail}."
                if there < 1
                else f"{config.backbone} has no map at stride 2; take a detail_stride of 4."
            )
        self.head = LightHamHead(self.backbone.channels[-used:], config)


class LightHamHead(nn.Module):
    """Concatenate three maps at the finest's size, squeeze, add context, align, classify.

    Args:
        in_channels: Of the maps, fine to coarse; the first ones are those of the detail paths.
        config: Its options; those of the backbone are unused.
    """

    def __init__(self, in_channels: tuple[int, ...], config: LightHamConfig) -> None:
        super().__init__()
        width = config.ham_channels
        self.num_maps, self.num_fine = len(in_channels), config.fine_maps
        fine, seen = in_channels[: config.fine_maps], in_channels[config.fine_maps :]
        self.squeeze = ConvNormReLU(sum(seen), width, config.norm)
        self.hamburger = Hamburger(
            width,
            version="v1",
            dim=width,
            norm=config.norm,
            ham=_in_the_hams_place(config),
            **config.ham_options,
        )
        self.align = ConvNormReLU(width, config.channels, config.norm)
        channels, detail, classes = config.channels, config.detail, config.num_classes
        self.detail = DetailPath(fine[-1], channels, detail, config.norm) if fine else None
        self.finer = FineCorrection(fine[0], channels, detail, classes) if len(fine) > 1 else None
        self.dropout = nn.Dropout2d(config.dropout)
        self.classifier = nn.Conv2d(channels, classes, 1)
        init_head(self, self.classifier, *([self.finer.classifier] if self.finer else []))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map feature maps, fine to coarse, to logits at the size of the finest that is used."""
        maps = maps[-self.num_maps :]
        fine, maps = maps[: self.num_fine], maps[self.num_fine :]
        size = maps[0].shape[2:]
        same_size = [
            F.interpolate(m, size=size, mode="bilinear", align_corners=False) if m.shape[2:] != size else m
            for m in maps
        ]
        x = self.hamburger(self.squeeze(torch.cat(same_size, dim=1)))
        x = self.align(x)
        if self.detail is not None:
            x = self.detail(x, fine[-1])
        x = self.dropout(x)
        logits = self.classifier(x)
        return logits if self.finer is None else self.finer(logits, x, fine[0])


def _in_the_hams_place(config: LightHamConfig) -> nn.Module | None:
    if config.context == "attention":
        return SelfAttention(config.ham_channels, config.heads)
    return NoContext() if config.context == "none" else None
