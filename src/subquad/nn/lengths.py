"""Sequences of different lengths in one batch: which of their positions are real."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops.link_rows import real_rows
from subquad.ops.links import check_lengths
from subquad.ops.transforms import is_known


def resolve_lengths(mask: Tensor | None, lengths: Tensor | None, batch: int, positions: int) -> Tensor | None:
    """Return how many positions of each sample count, of what a caller gave.

    Args:
        mask: (batch, positions), True where a position counts: the first of each sample. Checked,
            except while compiling or exporting, and under `torch.func.vmap`.
        lengths: Instead of `mask`, integers (batch,).
        batch: Number of samples.
        positions: Number of positions, padding included.

    Returns:
        Lengths (batch,), on the CPU unless compiled or mapped, which spares a wait for the
        device later; None if all positions of all samples count.

    Raises:
        ValueError: If both are given, or what is given does not fit.
    """
    if mask is not None:
        if lengths is not None:
            raise ValueError("got a mask and lengths; give one of them.")
        if mask.dtype != torch.bool or mask.shape != (batch, positions):
            raise ValueError(
                f"mask must be boolean of shape {(batch, positions)} (True where a position counts), "
                f"got {mask.dtype} {tuple(mask.shape)}."
            )
        lengths = mask.sum(dim=1)
        if is_known(mask) and bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError(
                "the mask has padding before a position that counts; put the positions of each sample "
                "first and its padding last."
            )
    if lengths is None:
        return None
    check_lengths(lengths, batch, positions)
    if not is_known(lengths):
        return lengths
    lengths = lengths.cpu()
    return None if bool((lengths == positions).all()) else lengths


def real_positions(lengths: Tensor, like: Tensor) -> Tensor:
    """Return where a position counts, (batch, n, 1), for a tensor (batch, n, dim)."""
    return real_rows(like, lengths).unsqueeze(-1)
