"""What stands in the mixing place of a sequence network, by name: ours, and what others register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from subquad.base.plugins import load_announced
from subquad.base.suggest import did_you_mean
from subquad.models.fields import shown

if TYPE_CHECKING:
    from subquad.models.sequence.config import SequenceConfig

ENTRY_POINTS = "subquad.mixers"

# Ours, each with its paper; "none" is of no paper.
OURS = {
    "paramixer": "Yu et al., CVPR 2022",
    "none": "",
    "transformer": "Vaswani et al., NeurIPS 2017",
    "chordmixer": "Khalitov et al., ICLR 2023",
}


@dataclass(frozen=True)
class Registered:
    """A mixer of another package; see `register_mixer`."""

    build: Callable[[SequenceConfig], nn.Module]
    paper: str
    mixes_lengths: bool


MIXERS: dict[str, Registered] = {}


def register_mixer(
    name: str,
    build: Callable[[SequenceConfig], nn.Module],
    *,
    paper: str = "",
    mixes_lengths: bool = False,
) -> None:
    """Make a mixer one that sequence networks are built with, and that files can name.

    A checkpoint stores the name, never code. Who loads it needs the mixer registered: import the module
    that does it, or let an installed package announce that module as an entry point of the group
    "subquad.mixers", named as the mixer is.

    Args:
        name: For the option `context`.
        build: Returns a block for a `SequenceConfig`: a module that maps (values, context), each
            (batch, n, dim), with the keyword `lengths`, (batch,) or None, to new values.
        paper: For model cards and `subquad info`.
        mixes_lengths: Whether it takes `lengths` that differ, and then keeps to the real positions.

    Raises:
        ValueError: If the name is ours or another's already.
    """
    taken = MIXERS.get(name)
    if name in OURS or (taken is not None and _place_of(taken.build) != _place_of(build)):
        raise ValueError(f"a mixer called {name!r} is registered already; choose another name.")
    MIXERS[name] = Registered(build, paper, mixes_lengths)


def registered_mixer(name: str) -> Registered:
    """Return a mixer that is not ours.

    Raises:
        ValueError: If nobody registered it; the message says how.
    """
    if name not in MIXERS:
        load_announced(ENTRY_POINTS, name, "mixer", lambda module: module)  # which registers it
    if name not in MIXERS:
        known = [*OURS, *MIXERS]
        raise ValueError(
            f"context must be one of {', '.join(known)}, got {shown(name)}.{did_you_mean(name, known)} "
            "Rivals of other packages come with experiments/rivals, others by subquad.models.register_mixer."
        )
    return MIXERS[name]


def _place_of(build: Callable[..., nn.Module]) -> tuple[str, str]:
    """Return where a function is defined: the same for one that a reload has made anew."""
    return build.__module__, build.__qualname__
