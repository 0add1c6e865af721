"""What `subquad advise` chooses from: blocks that could stand in one place, and what each of them gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from subquad.nn import Hamburger, Paramixer, SelfAttention
from subquad.nn.paramixer import LinkProtocol
from subquad.ops import CD, NMF, VQ, Solver
from subquad.ops.precision import Precision

WIDEST = 512  # inside of a Hamburger or of attention, as the papers have it
HEAD_DIM = 64
NEAR_2D, NEAR_1D = 7, 31  # positions along a side that the convolution sees
ATTENTION = "self-attention"


class Mixer(NamedTuple):
    """A block from a map (batch, channels, ...) or a sequence (batch, length, channels) to the same.

    Attributes:
        name: Its name.
        gives: What each position learns of the others.
        is_global: Whether it hears of all of them.
        linear_until: Positions from which on most of its time is for pairs of them; None if it never is.
        write: What to write to have it.
        build: Makes it, for so many positions.
        channels_last: Whether it takes sequences as (batch, length, channels).
    """

    name: str
    gives: str
    is_global: bool
    linear_until: int | None
    write: str
    build: Callable[[int], nn.Module]
    channels_last: bool = False

    def work(self, positions: int) -> float:
        """Return what its time grows with, in positions."""
        return positions * (1 + positions / self.linear_until) if self.linear_until else positions


def mixers_of_maps(channels: int, *, bfloat16: bool = False) -> tuple[Mixer, ...]:
    """Return the blocks for feature maps, the usual choice among equals first.

    Args:
        channels: Of the maps.
        bfloat16: Whether the machine is quick in it; then a Hamburger with such products is one of them.
    """
    return (
        _attention(channels, flat=False),
        *(_ham(channels, solver) for solver in (NMF(), CD(), VQ())),
        *[_ham(channels, NMF(), "bfloat16")] * bfloat16,
        _depthwise(channels, NEAR_2D, flat=False),
    )


def mixers_of_sequences(channels: int, length: int, *, bfloat16: bool = False) -> tuple[Mixer, ...]:
    """Return the blocks for sequences, as `mixers_of_maps`.

    Args:
        channels: Of the sequences.
        length: Positions.
        bfloat16: See `mixers_of_maps`.
    """
    return (
        _attention(channels, flat=True),
        _paramixer(channels, length, "chord"),
        _paramixer(channels, length, "cdil"),
        _ham(channels, NMF()),
        *[_ham(channels, NMF(), "bfloat16")] * bfloat16,
        _depthwise(channels, NEAR_1D, flat=True),
    )


def _attention(channels: int, *, flat: bool) -> Mixer:
    """Return self-attention and the projection behind it, as in a Transformer without norm and shortcut."""
    dim = min(channels, WIDEST)
    heads = dim // HEAD_DIM if dim % HEAD_DIM == 0 else 1
    conv = nn.Conv1d if flat else nn.Conv2d

    def build(_: int) -> nn.Module:
        narrow = [conv(channels, dim, 1)] if dim < channels else []
        return nn.Sequential(*narrow, SelfAttention(dim, heads), conv(dim, channels, 1))

    layer = f"torch.nn.{conv.__name__}"
    parts = [
        *[f"{layer}({channels}, {dim}, 1)"] * (dim < channels),
        f"subquad.nn.SelfAttention({dim}, heads={heads})",
        f"{layer}({dim}, {channels}, 1)",
    ]
    return Mixer(
        ATTENTION,
        "every pair, exactly",
        True,
        2 * channels,  # four projections against two products
        f"torch.nn.Sequential({', '.join(parts)})",
        build,
    )


def _ham(channels: int, solver: Solver, precision: Precision = "float32") -> Mixer:
    """Return a Hamburger; with a rank of at most half the width, or nothing is summed up."""
    dim = min(channels, WIDEST)
    rank = max(1, min(64, dim // 2))
    name, is_usual = type(solver).__name__, precision == "float32"
    options = "" if isinstance(solver, NMF) else f", solver=subquad.ops.{name}()"
    options += "" if is_usual else f', precision="{precision}"'
    return Mixer(
        f"Hamburger, {name}{'' if is_usual else f', {precision}'}",
        f"{rank} components",
        True,
        None,
        f'subquad.nn.Hamburger({channels}, version="v1", dim={dim}, rank={rank}{options})',
        lambda _: Hamburger(channels, version="v1", dim=dim, rank=rank, solver=solver, precision=precision),
    )


def _paramixer(channels: int, length: int, protocol: LinkProtocol) -> Mixer:
    def build(length: int) -> nn.Module:
        return Paramixer(channels, channels, length=length, protocol=protocol)

    told = "" if protocol == "chord" else f', protocol="{protocol}"'
    return Mixer(
        f"Paramixer, {protocol.upper()}",
        "sparse factors, order",
        True,
        None,
        f"subquad.nn.Paramixer({channels}, {channels}, length={length}{told})",
        build,
        channels_last=True,
    )


def _depthwise(channels: int, side: int, *, flat: bool) -> Mixer:
    conv = nn.Conv1d if flat else nn.Conv2d
    told = f"{side}" if flat else f"{side} x {side}"
    return Mixer(
        "depthwise convolution",
        f"only {told} around",
        False,
        None,
        f"torch.nn.{conv.__name__}({channels}, {channels}, {side}, padding={side // 2}, groups={channels})",
        lambda _: conv(channels, channels, side, padding=side // 2, groups=channels),
    )
