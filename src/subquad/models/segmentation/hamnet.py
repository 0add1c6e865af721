"""HamNet: the coarsest map of a backbone at output stride 8, 3 x 3 convolutions and one Hamburger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from subquad.base.limits import LARGEST_WEIGHT, LARGEST_WIDTH
from subquad.models.backbones import backbone_papers, make_backbone
from subquad.models.fields import check_range
from subquad.models.registry import register
from subquad.models.segmentation.config import HamConfig
from subquad.models.segmentation.heads import AuxiliaryHead, ConvNormReLU, init_head
from subquad.models.segmentation.network import SegmentationNetwork
from subquad.nn import Hamburger
from subquad.nn.hamburger import Norm, Version


@dataclass(frozen=True, kw_only=True)
class HamNetConfig(HamConfig):
    """Options of `HamNet`.

    Attributes:
        backbone: "resnet50", "resnet101" or "resnet152" with "_voc" (deep stem of 64, 64, 128
            channels, multi-grid) or "_v1c" (32, 32, 64) appended, or "van_tiny" to "van_huge".
        output_stride: Of the coarsest map: 8 or 16 ("_voc" only).
        channels: Width at which the context is computed.
        version: Of the Hamburger.
        dim: Width inside the Hamburger, all heads together.
        align_channels: Width before the classifier.
        norm: Of the head: "batch" (VOC) or "group" (ADE20K, 32 groups).
        bn_momentum: Of every batch norm of the network; None for PyTorch's 0.1.
        concat_input: Look at the backbone's map once more after the context: HamNet+.
        auxiliary: Give the last but one map a head of its own while training.
        auxiliary_weight: Of the auxiliary loss.
        corners: Resize the logits corner to corner, as the VOC code.
    """

    family: ClassVar[str] = "hamnet"

    num_classes: int = 150
    backbone: str = "resnet101_v1c"
    output_stride: int = 8
    channels: int = 512
    version: Version = "v1"
    dim: int = 512
    align_channels: int = 512
    norm: Norm = "group"
    bn_momentum: float | None = None
    concat_input: bool = False
    auxiliary: bool = True
    auxiliary_weight: float = 0.4
    corners: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, LARGEST_WIDTH, "channels", "dim", "align_channels", "output_stride")
        check_range(self, 0, LARGEST_WEIGHT, "auxiliary_weight")
        check_range(self, 0, 1, "bn_momentum")

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the network is of."""
        return ("Geng et al., ICLR 2021", *backbone_papers(self.backbone))

    @property
    def align_corners(self) -> bool:
        """Whether maps are resized corner pixel to corner pixel."""
        return self.corners


@register(HamNetConfig)
class HamNet(SegmentationNetwork):
    """A backbone and the HamNet head (Geng et al., ICLR 2021, section 3; Enjoy-Hamburger, seg and seg_mm).

    Args:
        config: Its options.
    """

    def __init__(self, config: HamNetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(
            config.backbone,
            in_channels=config.in_channels,
            drop_path=config.drop_path,
            output_stride=config.output_stride,
        )
        *_, before_last, last = self.backbone.channels
        self.head = HamNetHead(last, config)
        if config.auxiliary:
            self.auxiliary_head = AuxiliaryHead(before_last, config.num_classes, config.dropout)
        if config.bn_momentum is not None:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.momentum = config.bn_momentum


class HamNetHead(nn.Module):
    """Squeeze, add context, align, look at the input again (HamNet+), classify.

    Args:
        in_channels: Of the coarsest map.
        config: Its options; those of the backbone are unused.
    """

    def __init__(self, in_channels: int, config: HamNetConfig) -> None:
        super().__init__()
        width = config.align_channels
        self.squeeze = ConvNormReLU(in_channels, config.channels, config.norm, kernel_size=3)
        self.hamburger = Hamburger(
            config.channels,
            version=config.version,
            dim=config.dim,
            norm=config.norm,
            **config.ham_options,
        )
        self.align = ConvNormReLU(config.channels, width, config.norm, kernel_size=3)
        self.concat = (
            ConvNormReLU(in_channels + width, width, config.norm, kernel_size=3)
            if config.concat_input
            else None
        )
        self.dropout = nn.Dropout2d(config.dropout)
        self.classifier = nn.Conv2d(width, config.num_classes, 1)
        if config.norm == "group":  # the VOC code keeps PyTorch's initialisation
            init_head(self, self.classifier)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the feature maps, of which the last is used, to logits of its size."""
        x = self.align(self.hamburger(self.squeeze(maps[-1])))
        if self.concat is not None:
            x = self.concat(torch.cat([maps[-1], x], dim=1))
        return self.classifier(self.dropout(x))
