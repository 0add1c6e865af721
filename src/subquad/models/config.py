"""The parts of a configuration that networks share, and its JSON form."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypedDict

import torch
from torch import Tensor, nn

from subquad.base.limits import (
    LARGEST_SCALE,
    LARGEST_WIDTH,
    MOST_STEPS,
)
from subquad.base.names import check_class_name
from subquad.base.suggest import did_you_mean
from subquad.models.blueprint import check_affordable
from subquad.models.fields import check_range, fit_fields, shown
from subquad.models.solvers import check_known_solver, solver_from_json
from subquad.nn.ham import Start
from subquad.ops import NMF, Solver

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class OptionError(TypeError, ValueError):
    """An option that a configuration does not have."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What every network is told.

    Attributes:
        num_classes: Channels of the logits.
        class_names: One a class, or empty.
    """

    family: ClassVar[str]

    num_classes: int
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fit_fields(self)
        check_range(self, 1, LARGEST_WIDTH, "num_classes")
        for name in self.class_names:
            check_class_name(name)
        for name in ("class_names", "palette"):
            value = getattr(self, name, ())
            if value and len(value) != self.num_classes:
                raise ValueError(f"{name} has {len(value)} entries for {self.num_classes} classes.")

    def cost_size(self, wanted: int | None = None) -> int:
        """Return at which size to count costs: the side of an image, the length of a sequence.

        Args:
            wanted: Another than the one at which they are published.
        """
        raise NotImplementedError

    def example(self, size: int | tuple[int, int]) -> tuple[Tensor, ...]:
        """Return the inputs of one sample, of that size, on the current default device."""
        raise NotImplementedError

    def solver_called(self, name: str) -> Solver:
        """Return the solver of that name, as the family has it.

        Raises:
            ValueError: If there is no such solver.
        """
        return solver_from_json({"type": name})

    def uncounted_multiply_adds(self, size: int | tuple[int, int]) -> int:
        """Return the multiply-adds of `example(size)` that are neither convolutions nor matrix products."""
        return 0

    @property
    def sources(self) -> tuple[str, ...]:
        """The papers that the network is of, such as "Yu et al., CVPR 2022"."""
        return ()

    def build(self) -> nn.Module:
        """Build the network, randomly initialised."""
        raise NotImplementedError

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


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(ImageConfig):
    """What every segmentation network is told besides.

    Attributes:
        palette: RGB of each class in 0..255, or empty.
    """

    usual_size: ClassVar[int] = 512

    palette: tuple[tuple[int, int, int], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for colour in self.palette:
            if not all(0 <= value <= 255 for value in colour):
                raise ValueError(f"the colours of a palette are 0 to 255, got {colour}.")

    @property
    def align_corners(self) -> bool:
        """Whether maps are resized corner pixel to corner pixel."""
        return False


@dataclass(frozen=True, kw_only=True)
class HamConfig(SegmentationConfig):
    """What every segmentation network with a ham is told besides; see `subquad.nn.Ham`.

    Attributes:
        solver: Of the decomposition: NMF, VQ or CD.
        rank: Columns of the dictionary.
        heads: Groups of channels that are decomposed separately.
        steps: Iterations while training.
        eval_steps: Iterations in evaluation; None takes `steps`.
        grad_steps: Last iterations kept in the graph; 0 is the one-step gradient.
        start: Where the dictionary starts while training: "random", "fixed", "learned" or "running".
        dropout: Of whole channels before the classifier.
        drop_path: Stochastic depth rate of the backbone's last block, where it has any.
    """

    solver: Solver = NMF()  # noqa: RUF009  a frozen value
    rank: int = 64
    heads: int = 1
    steps: int = 6
    eval_steps: int | None = 7
    grad_steps: int = 0
    start: Start = "random"
    dropout: float = 0.1
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known_solver(self.solver)
        check_range(self, 1, LARGEST_WIDTH, "rank", "heads")
        check_range(self, 1, MOST_STEPS, "steps", "eval_steps")
        check_range(self, 0, self.steps, "grad_steps")
        self._check_rates("dropout", "drop_path")

    @property
    def ham_options(self) -> HamOptions:
        """The options that `subquad.nn.Hamburger` takes by the same names."""
        return {
            "solver": self.solver,
            "rank": self.rank,
            "heads": self.heads,
            "steps": self.steps,
            "eval_steps": self.eval_steps,
            "grad_steps": self.grad_steps,
            "start": self.start,
        }


class HamOptions(TypedDict):
    """See `HamConfig`."""

    solver: Solver
    rank: int
    heads: int
    steps: int
    eval_steps: int | None
    grad_steps: int
    start: Start


def override(config: NetworkConfig, overrides: dict[str, Any]) -> Any:
    """Return the configuration with some options replaced.

    Raises:
        OptionError: If there is no such option; a ValueError and a TypeError alike.
        ValueError: If a value does not fit.
    """
    known = [f.name for f in dataclasses.fields(config)]
    for name in overrides:
        if name not in known:
            raise OptionError(
                f"{type(config).__name__} has no option {name!r}.{did_you_mean(name, known)} "
                f"It has {', '.join(known)}."
            )
    if isinstance(overrides.get("solver"), str):
        overrides = {**overrides, "solver": config.solver_called(overrides["solver"])}
    # Names and colours belong to the old classes.
    if overrides.get("num_classes", config.num_classes) != config.num_classes:
        stale = {name: () for name in ("class_names", "palette") if name in known}
        overrides = {**stale, **overrides}
    if "token_names" in known and "vocab_size" in overrides:
        overrides = {"token_names": (), **overrides}
    if (
        isinstance(config, ImageConfig)
        and overrides.get("in_channels", config.in_channels) != config.in_channels
    ):
        overrides = {"mean": None, "std": None, **overrides}
    changed = dataclasses.replace(config, **overrides)
    if overrides:
        check_affordable(changed)
    return changed
