"""Options of HamGAN."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from subquad.base.limits import LARGEST_WIDTH
from subquad.models.config import ImageConfig, Usage
from subquad.models.fields import check_range
from subquad.models.ham_config import Context, WithHam
from subquad.models.solvers import solver_from_json
from subquad.ops import Solver

SIZES = (32, 64, 128)
FIRST_SIDE = 4  # of the generator's first map and the discriminator's last one


@dataclass(frozen=True, kw_only=True)
class HamGANConfig(WithHam, ImageConfig):
    """Options of `HamGAN`.

    Images are -1..1, so `mean` and `std` are 0.5 and cannot be chosen.

    Attributes:
        size: Height and width of the images: 32, 64 or 128.
        latent: Length of the random vector that an image is made from.
        width: Channels at the full size; they double as the side halves, up to 16 times as many.
        context: What gives global context, once in each network: "hamburger", "attention"
            (the self-attention of SAGAN) or "none".
        version: Of the hamburger.
        solver: Of the hamburger: NMF or CD of the originals, or VQ. By name, CD is the originals':
            temperature 0.01, ridge 0.01.
        grad_steps: As of every ham, but that the one-step gradient of the originals is what it has by itself.
        generator_rank: Columns of the dictionary in the generator.
        discriminator_rank: The same in the discriminator.
    """

    family: ClassVar[str] = "hamgan"
    task: ClassVar[str] = "generation"
    tracer: ClassVar[str | None] = None  # the checks of an export are those of logits

    num_classes: int = 1000
    size: int = 128
    latent: int = 128
    width: int = 64
    context: Context = "hamburger"
    version: Literal["v1", "v2"] = "v1"
    grad_steps: int | None = 0
    generator_rank: int = 32
    discriminator_rank: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(map(str, SIZES))}, got {self.size}.")
        check_range(self, 1, LARGEST_WIDTH, "latent", "width", "generator_rank", "discriminator_rank")
        for name in ("mean", "std"):
            value = getattr(self, name)
            if value is not None and set(value) != {0.5}:
                raise ValueError(f"images of a HamGAN are -1..1, which is {name} 0.5; got {value}.")

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the networks are of."""
        attention = ("Zhang et al., SAGAN, ICML 2019",) if self.context == "attention" else ()
        return ("Geng et al., ICLR 2021", *attention)

    def cost_size(self, wanted: int | None = None) -> int:
        """Return the size of its images: it makes no other."""
        return self.size

    def with_size(self, size: int | tuple[int, int]) -> Self:
        """Return the configuration of the networks for images of that size."""
        return self.replaced(size=size)

    def usage(self) -> Usage:
        """Return how it is used, for the model card."""
        colours = "red, green, blue, " if self.in_channels == 3 else ""
        return Usage(
            "class-conditional image generation",
            "unconditional-image-generation",
            f"latent = torch.randn(4, {self.latent})\n"
            f"labels = torch.arange(4) % {self.num_classes}  # the classes of the four images\n"
            f"with torch.no_grad():\n    images = (network(latent, labels) + 1) / 2\n",
            (f"Images are in 0 to 1 then, {colours}(batch, {self.in_channels}, {self.size}, {self.size}).",),
        )

    def example(self, size: int | tuple[int, int]) -> tuple[Tensor, ...]:
        """Return a random vector and a class, both zero; `size` plays no part."""
        return torch.zeros(1, self.latent), torch.zeros(1, dtype=torch.int64)

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation, which bring 0..1 to -1..1."""
        return (0.5,) * self.in_channels, (0.5,) * self.in_channels

    @property
    def resamplings(self) -> int:
        """How often the generator doubles the side, and the discriminator halves it."""
        return int(log2(self.size // FIRST_SIDE))

    @property
    def context_side(self) -> int:
        """The side of the maps that get context: a quarter of the image, and 16 at least."""
        return max(16, self.size // 4)

    def channels_at(self, side: int) -> int:
        """Return the channels of the generator's map of that side."""
        return self.width * min(16, self.size // side)

    def solver_called(self, name: str) -> Solver:
        """Return the solver of that name, with the originals' hyper-parameters."""
        ridge = {"ridge": 0.01} if name == "CD" else {}
        return solver_from_json({"type": name, **ridge})
