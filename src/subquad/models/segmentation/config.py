"""What segmentation networks are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from subquad.base.limits import LARGEST_WIDTH, LONGEST_PICTURE_SIDE
from subquad.models.config import ImageConfig, Usage
from subquad.models.fields import check_range
from subquad.models.ham_config import WithHam
from subquad.nn.ham import HamOptions


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(ImageConfig):
    """What every segmentation network is told besides.

    Attributes:
        palette: RGB of each class in 0..255, or empty.
        resize: Long and short side of a box that pictures are resized into before the network sees them,
            their proportions kept, where it was trained so; None: as they are. `predict`, `serve` and `test`
            do it, unless they are told another protocol; the network itself does not.
    """

    task: ClassVar[str] = "segmentation"
    usual_size: ClassVar[int] = 512

    palette: tuple[tuple[int, int, int], ...] = field(default=(), repr=False)
    resize: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_entries("palette")
        if self.resize is not None and not 1 <= min(self.resize) <= max(self.resize) <= LONGEST_PICTURE_SIDE:
            raise ValueError(
                f"resize must be two sides of 1 to {LONGEST_PICTURE_SIDE:,} pixels, got {self.resize}."
            )
        for colour in self.palette:
            if not all(0 <= value <= 255 for value in colour):
                raise ValueError(f"the colours of a palette are 0 to 255, got {colour}.")

    @property
    def align_corners(self) -> bool:
        """Whether maps are resized corner pixel to corner pixel."""
        return False

    def usage(self) -> Usage:
        """Return how it is used, for the model card."""
        return self._image_usage("image-segmentation", "semantic segmentation", "classes, height, width")

    def replaced(self, **overrides: Any) -> Self:
        """Return the configuration with some options replaced; other classes have other colours."""
        if overrides.get("num_classes", self.num_classes) != self.num_classes:
            overrides.setdefault("palette", ())
        return super().replaced(**overrides)


@dataclass(frozen=True, kw_only=True)
class HamConfig(WithHam, SegmentationConfig):
    """What every segmentation network with a ham is told besides; see `subquad.nn.Ham`.

    Attributes:
        rank: Columns of the dictionary.
        heads: Groups of channels that are decomposed separately.
        dropout: Of whole channels before the classifier.
        drop_path: Stochastic depth rate of the backbone's last block, where it has any.
    """

    eval_steps: int | None = 7
    rank: int = 64
    heads: int = 1
    dropout: float = 0.1
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, LARGEST_WIDTH, "rank", "heads")
        self._check_rates("dropout", "drop_path")

    @property
    def ham_options(self) -> HamOptions:
        """The options that `subquad.nn.Hamburger` takes by the same names."""
        return {**super().ham_options, "rank": self.rank, "heads": self.heads}
