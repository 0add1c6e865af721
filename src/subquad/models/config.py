"""The parts of a configuration that all networks share, and those that networks on images do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from subquad.base.limits import LARGEST_SCALE, LARGEST_WIDTH
from subquad.base.names import check_class_name
from subquad.base.suggest import did_you_mean
from subquad.models.blueprint import check_affordable
from subquad.models.fields import check_range, fit_fields, shown
from subquad.models.registry import network_of

if TYPE_CHECKING:
    from subquad.models.network import Network

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class OptionError(TypeError, ValueError):
    """An option that a configuration does not have."""


class Usage(NamedTuple):
    """What a model card tells of a network's use.

    Attributes:
        task: What it does, in our words.
        hub_tag: What the Hub calls that, if it does.
        code: Python that uses `network`; torch is imported already.
        sections: On what goes in and comes out, in Markdown.
        outputs: What it tells apart.
    """

    task: str = "a task of its own"
    hub_tag: str | None = None
    code: str = ""
    sections: tuple[str, ...] = ()
    outputs: str = "classes"


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What every network is told.

    Attributes:
        num_classes: Channels of the logits.
        class_names: One a class, or empty.
    """

    family: ClassVar[str]
    task: ClassVar[str]  # the kind of work that it is for, as `subquad.tasks` calls it
    tracer: ClassVar[str | None] = None  # what makes its graph for an export, "package.module:function"

    num_classes: int
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fit_fields(self)
        check_range(self, 1, LARGEST_WIDTH, "num_classes")
        for name in self.class_names:
            check_class_name(name)
        self._check_entries("class_names")

    def cost_size(self, wanted: int | None = None) -> int:
        """Return at which size to count costs: the side of an image, the length of a sequence.

        Args:
            wanted: Another than the one at which they are published.
        """
        raise NotImplementedError

    def with_size(self, size: int | tuple[int, int]) -> Self:
        """Return the configuration of the network that takes that size: itself, if it takes any."""
        return self

    def example(self, size: int | tuple[int, int]) -> tuple[Tensor, ...]:
        """Return the inputs of one sample, of that size, on the current default device."""
        raise NotImplementedError

    def uncounted_multiply_adds(self, size: int | tuple[int, int]) -> int:
        """Return the multiply-adds of `example(size)` that are neither convolutions nor matrix products."""
        return 0

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the network is of, such as "Yu et al., CVPR 2022"."""
        return ()

    def usage(self) -> Usage:
        """Return how it is used, for the model card; what a family does not tell is not guessed."""
        return Usage()

    def replaced(self, **overrides: Any) -> Self:
        """Return the configuration with some options replaced, and with them what belonged to the old ones.

        Raises:
            OptionError: If there is no such option; a ValueError and a TypeError alike.
            ValueError: If a value does not fit.
        """
        known = [f.name for f in dataclasses.fields(self)]
        for name in overrides:
            if name not in known:
                raise OptionError(
                    f"{type(self).__name__} has no option {name!r}.{did_you_mean(name, known)} "
                    f"It has {', '.join(known)}."
                )
        if overrides.get("num_classes", self.num_classes) != self.num_classes:
            overrides.setdefault("class_names", ())
        changed = dataclasses.replace(self, **overrides)
        if overrides:
            check_affordable(changed)
        return changed

    def build(self) -> Network:
        """Build the network that is registered for it, randomly initialised.

        Raises:
            ValueError: If none is.
        """
        return network_of(type(self))(self)

    def _check_entries(self, name: str) -> None:
        value = getattr(self, name)
        if value and len(value) != self.num_classes:
            raise ValueError(f"{name} has {len(value)} entries for {self.num_classes} classes.")

    def _check_rates(self, *names: str) -> None:
        for name in names:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class ImageConfig(NetworkConfig):
    """What every network on images is told.

    Attributes:
        in_channels: Of the images.
        mean: Per channel, subtracted from images in [0, 1]; None: ImageNet's for three channels,
            0.5 for others.
        std: Per channel, divided by after that; None: ImageNet's for three channels, 0.25 for others.
    """

    tracer: ClassVar[str | None] = "subquad.export.trace_images:trace_images"
    usual_size: ClassVar[int]

    in_channels: int = 3
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, LARGEST_WIDTH, "in_channels")
        for name, per in {"mean": self.in_channels, "std": self.in_channels}.items():
            value = getattr(self, name)
            if value is not None and len(value) != per:
                raise ValueError(f"{name} needs one value for each of {per} channels, got {shown(value)}.")
        for name, least in {"mean": -LARGEST_SCALE, "std": 1 / LARGEST_SCALE}.items():
            for value in getattr(self, name) or ():
                if not least <= value <= LARGEST_SCALE:
                    raise ValueError(f"{name} must be {least:g} to {LARGEST_SCALE:g}, got {value}.")

    def cost_size(self, wanted: int | None = None) -> int:
        """Return height and width."""
        return wanted or self.usual_size

    def example(self, size: int | tuple[int, int]) -> tuple[Tensor, ...]:
        """Return an image (1, in_channels, H, W) of zeros; one number is the side of a square."""
        sides = (size, size) if isinstance(size, int) else size
        return (torch.zeros(1, self.in_channels, *sides),)

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation, one value a channel."""
        default = (IMAGENET_MEAN, IMAGENET_STD) if self.in_channels == 3 else ((0.5,), (0.25,))
        repeat = 1 if self.in_channels == 3 else self.in_channels
        return self.mean or default[0] * repeat, self.std or default[1] * repeat

    def replaced(self, **overrides: Any) -> Self:
        """Return the configuration with some options replaced; other channels have other statistics."""
        if overrides.get("in_channels", self.in_channels) != self.in_channels:
            overrides = {"mean": None, "std": None, **overrides}
        return super().replaced(**overrides)

    def _image_usage(self, hub_tag: str, task: str, outputs: str) -> Usage:
        """Return the use of a network that maps images to logits (batch, outputs)."""
        mean, std = ([round(value, 6) for value in values] for values in self.normalization)
        colours = "red, green, blue, " if self.in_channels == 3 else ""
        return Usage(
            task,
            hub_tag,
            f"images = torch.rand(1, {self.in_channels}, 256, 320)  # (batch, channels, height, width)\n"
            f"mean, std = torch.tensor({mean}), torch.tensor({std})\n"
            "logits = network((images - mean[:, None, None]) / std[:, None, None])\n",
            (
                f"Images are in 0 to 1, {colours}of any height and width; the logits are (batch, {outputs}).",
                "## Normalisation",
                f"Mean {mean}, standard deviation {std}, one value for each channel.",
            ),
        )
