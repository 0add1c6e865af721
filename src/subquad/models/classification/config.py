"""The options of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from subquad.base.limits import LARGEST_WIDTH, LONGEST_CROP_SIDE
from subquad.models.backbones import backbone_papers
from subquad.models.config import ImageConfig, Usage
from subquad.models.fields import check_range
from subquad.models.ham_config import WithHam
from subquad.nn.ham import HamOptions

Context = Literal["hamburger", "attention", "none"]
Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(WithHam, ImageConfig):
    """Options of `Classifier`.

    Attributes:
        backbone: Any of `make_backbone`, whose coarsest map is used; of "timm/NAME" the whole network but
            its last layer, whether it gives feature maps or tokens.
        drop_path: Stochastic depth rate of the backbone's last block, where it has any.
        context: What the last map is sent through before the mean over its positions: "hamburger" or
            "attention", as `subquad.nn.insert_context` inserts them, or "none".
        rank: Columns of the hamburger's dictionary.
        heads: Of the hamburger or the attention.
        image_size: Height and width of the pictures that it is trained and evaluated on.
        crop_ratio: Share of a picture's shorter side that an evaluation sees, in (0, 1].
        interpolation: How an evaluation resizes pictures, "bicubic" or "bilinear".
    """

    family: ClassVar[str] = "classifier"
    task: ClassVar[str] = "classification"

    num_classes: int = 1000
    backbone: str = "van_tiny"
    drop_path: float = 0.1
    context: Context = "none"
    rank: int = 64
    heads: int = 1
    image_size: int = 224
    crop_ratio: float = 0.9
    interpolation: Interpolation = "bicubic"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_rates("drop_path")
        check_range(self, 1, LARGEST_WIDTH, "rank", "heads")
        check_range(self, 1, LONGEST_CROP_SIDE, "image_size")
        if not 0 < self.crop_ratio <= 1:
            raise ValueError(f"crop_ratio must be above 0 and at most 1, got {self.crop_ratio}.")

    def cost_size(self, wanted: int | None = None) -> int:
        """Return height and width."""
        return wanted or self.image_size

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the network is of."""
        context = ("Geng et al., ICLR 2021",) if self.context == "hamburger" else ()
        return (*context, *backbone_papers(self.backbone))

    @property
    def ham_options(self) -> HamOptions:
        """The options that `subquad.nn.insert_context` takes by the same names."""
        return {**super().ham_options, "rank": self.rank, "heads": self.heads}

    def usage(self) -> Usage:
        """Return how it is used, for the model card."""
        return self._image_usage("image-classification", "image classification", "classes")
