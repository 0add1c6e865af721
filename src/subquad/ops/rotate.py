"""Rotation of a sequence's channels in tracks, each by its own offset: mixing without parameters.

A rotation is a permutation. So its gradient is the opposite rotation, and nothing is kept for it. Source:
Khalitov et al., "ChordMixer: A Scalable Neural Attention Model for Sequences with Different Lengths",
ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from subquad.ops.link_rows import real_rows, same_lengths
from subquad.ops.links import check_lengths
from subquad.ops.transforms import as_one_batch

Offsets = tuple[int, ...]


def rotate(x: Tensor, offsets: Sequence[int], *, lengths: Tensor | None = None) -> Tensor:
    """Rotate each track: y[b, i, c] = x[b, (i + offsets[k]) % n, c] for the channels c of track k.

    Derivatives of any order exist, in both modes, and `torch.func.vmap` makes one batch of all calls.

    Args:
        x: (batch, n, dim), any n from 1.
        offsets: One integer a track, of either sign and of any size, for at most `dim` tracks. They are
            neighbouring channels, dim // tracks each; what is left over goes to the first, one each.
        lengths: How many positions of each sample count, integers of 0 to n, (batch,); each sample
            wraps at its own length. Rows past it are zero in the result, get no gradient, and may hold
            anything.

    Returns:
        (batch, n, dim), of the type of `x`.

    Raises:
        ValueError: If shapes or `lengths` do not fit.
    """
    offsets = tuple(offsets)
    if x.dim() != 3 or 0 in x.shape[:2]:
        raise ValueError(
            f"x must be (batch, positions, dim) with a sample and a position at least, got {tuple(x.shape)}."
        )
    if not 1 <= len(offsets) <= x.shape[2]:
        raise ValueError(
            f"every track takes a channel at least, got {len(offsets)} offsets for {x.shape[2]} channels."
        )
    if lengths is not None:
        check_lengths(lengths, *x.shape[:2])
    return _rotate(x, lengths, offsets)


def track_sizes(dim: int, tracks: int) -> list[int]:
    """Return the channels of each track: as many for each, and one more for the first ones."""
    return [dim // tracks + (track < dim % tracks) for track in range(tracks)]


def _rotate(x: Tensor, lengths: Tensor | None, offsets: Offsets) -> Tensor:
    function = _Rotate if torch.compiler.is_compiling() else _ForwardRotate
    y = function.apply(x, lengths, offsets)
    assert isinstance(y, Tensor)
    return y


def _rotate_views(x: Tensor, lengths: Tensor | None, offsets: Offsets) -> Tensor:
    """Return the rotated tracks, copied once, the samples of one length together."""
    y = torch.empty_like(x) if lengths is None else torch.zeros_like(x)
    sizes = track_sizes(x.shape[2], len(offsets))
    for rows in same_lengths(x, lengths):
        part, source = y[rows], x[rows]
        length = source.shape[1]
        for target, track, offset in zip(part.split(sizes, 2), source.split(sizes, 2), offsets, strict=True):
            first = offset % length
            target[:, : length - first] = track[:, first:]
            if first:
                target[:, length - first :] = track[:, :first]
    return y


def _rotate_whole(x: Tensor, lengths: Tensor | None, offsets: Offsets) -> Tensor:
    """Return the rotated tracks by a few operations on all samples."""
    tracks = x.split(track_sizes(x.shape[2], len(offsets)), 2)
    if lengths is None:
        return torch.cat([track.roll(-offset, 1) for track, offset in zip(tracks, offsets, strict=True)], 2)
    rows, ends = torch.arange(x.shape[1], device=x.device), lengths.to(x.device).clamp_min(1).unsqueeze(1)
    turned = [
        track.gather(1, ((rows + offset) % ends).unsqueeze(-1).expand_as(track))
        for track, offset in zip(tracks, offsets, strict=True)
    ]
    return torch.cat(turned, 2).where(real_rows(x, lengths).unsqueeze(-1), 0)


class _Rotate(torch.autograd.Function):
    """The rotation, whose derivatives are rotations."""

    @staticmethod
    def forward(x: Tensor, lengths: Tensor | None, offsets: Offsets) -> Tensor:
        """Return the rotated tracks."""
        # A compiler fuses ordinary operations. For a GPU views of each sample are too many launches.
        if torch.compiler.is_compiling() or (x.is_cuda and lengths is not None):
            return _rotate_whole(x, lengths, offsets)
        return _rotate_views(x, lengths, offsets)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep no tensor but the lengths."""
        _, ctx.lengths, ctx.offsets = inputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Rotate the gradient back."""
        (grad,) = grads
        # A compiler differentiates what it sees.
        turned = _Rotate.forward if torch.compiler.is_compiling() else _rotate
        return turned(grad, ctx.lengths, tuple(-offset for offset in ctx.offsets)), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Tensor, int]:
        """Take the samples of all for one batch."""
        return as_one_batch(_rotate, info, in_dims, *inputs)


class _ForwardRotate(_Rotate):
    """The same with derivatives in forward mode, which compilers do not take."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """Rotate the tangent along."""
        return _rotate(tangents[0], ctx.lengths, ctx.offsets)
