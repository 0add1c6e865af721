"""The Light-Ham head as a decoder for feature maps of any network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from torch import Tensor
from torch.nn import functional as F

from subquad.models.ham_config import Context
from subquad.models.segmentation.light_ham import LightHamConfig, LightHamHead
from subquad.nn.ham import HamOptions, handed_on
from subquad.nn.hamburger import Norm


class LightHamDecoder(LightHamHead):
    """Feature maps of any backbone to logits, with one Hamburger at the size of the finest map it sees.

    Args:
        in_channels: Of the maps, fine to coarse; as many maps as there are numbers are used, the first
            for the detail path alone if there is one, the first two with a `detail_stride` of 2.
        num_classes: Channels of the logits.
        ham_channels: Width at which the context is computed.
        channels: Width before the classifier.
        context: "hamburger", "attention" or "none"; see `LightHamConfig`.
        norm: "group" (32 groups) or "batch".
        detail: Channels to which the first map is reduced in a `DetailPath`, for thin things; 0 for none.
        detail_stride: 2 corrects the logits by a map finer still, which comes before that one; else 4.
        dropout: Of whole channels before the classifier.
        **options: `solver`, `rank`, `heads`, `steps`, `eval_steps`, `grad_steps`, `start` and
            `precision` of `subquad.nn.Ham`; 7 `eval_steps` if not given.

    References:
        Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021; the head is that of
        Enjoy-Hamburger, seg_light_ham.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        ham_channels: int = 256,
        channels: int = 256,
        context: Context = "hamburger",
        norm: Norm = "group",
        detail: int = 0,
        detail_stride: int = 4,
        dropout: float = 0.1,
        **options: Unpack[HamOptions],
    ) -> None:
        if not in_channels or min(in_channels) < 1:
            raise ValueError(f"in_channels needs one number for each map, got {tuple(in_channels)}.")
        config = LightHamConfig(
            num_classes=num_classes,
            ham_channels=ham_channels,
            channels=channels,
            context=context,
            norm=norm,
            detail=detail,
            detail_stride=detail_stride,
            dropout=dropout,
            **handed_on(options),
        )
        if len(in_channels) <= config.fine_maps:
            needed = f"detail needs {config.fine_maps + 1} maps or more at a detail_stride of {detail_stride}"
            raise ValueError(f"{needed}, got in_channels {tuple(in_channels)}.")
        super().__init__(tuple(in_channels), config)
        self.in_channels = tuple(in_channels)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        """Map feature maps to logits.

        Args:
            maps: Fine to coarse, (batch, channels, h, w); of more than `in_channels` tells, the last.
            size: Height and width of the logits, such as `images.shape[2:]`; None keeps the finest
                map's.

        Returns:
            Logits `(batch, num_classes, *size)`.

        Raises:
            ValueError: If the maps do not have these channels.
        """
        used = list(maps)[-self.num_maps :]
        channels = tuple(m.shape[1] for m in used)
        if channels != self.in_channels:
            raise ValueError(
                f"expected maps with {self.in_channels} channels, fine to coarse, got {channels}; bring "
                f"channels-last maps to channels first with m.movedim(-1, 1)."
            )
        logits = super().forward(used)
        if size is None:
            return logits
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
