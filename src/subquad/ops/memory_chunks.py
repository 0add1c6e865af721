"""The chunks of a linear memory: where they lie, and the sums over what is in each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Logarithm of a closed gate: exp of it is 0 in float64, too, and 0 times it no NaN as 0 times infinity is.
CLOSED = -800.0


def chunks_of(n: int, size: int, offset: Tensor | None) -> tuple[int, int]:
    """Return the size of the chunks that n positions are computed in, and how many they are.

    Args:
        n: Positions.
        size: Of the chunks.
        offset: Where in its first chunk each sample begins; None: at the start.
    """
    if offset is not None:  # at worst the first position is the last of a chunk
        return size, -(-(n + size - 1) // size)
    if torch.compiler.is_exporting():  # for any n; it would make cases of short ones and of whole chunks
        return size, n // size + 1
    size = min(size, n)
    return size, -(-n // size)


def into_chunks(x: Tensor, size: int, offset: Tensor | None, count: int) -> Tensor:
    """Cut (batch, heads, n, ...) into chunks, (batch, heads, count, size, ...), with zeros around it.

    Args:
        x: What is cut.
        size: Positions of a chunk.
        offset: Where in its first chunk each sample begins, (batch,); None: at the start.
        count: Chunks.
    """
    n = x.shape[2]
    if offset is None:
        whole = F.pad(x, [0, 0] * (x.dim() - 3) + [0, count * size - n])
    else:
        source = torch.arange(count * size, device=x.device) - offset.unsqueeze(1)
        inside = _like((source >= 0) & (source < n), x)
        whole = _rows(x, source.clamp(0, n - 1)).where(inside, 0)
    return whole.contiguous().unflatten(2, (count, size))  # what several products would copy each


def out_of_chunks(x: Tensor, n: int, offset: Tensor | None) -> Tensor:
    """Return the positions (batch, heads, n, ...) that were cut into chunks."""
    whole = x.flatten(2, 3)
    if offset is None:
        return whole[:, :, :n]
    return _rows(whole, torch.arange(n, device=x.device) + offset.unsqueeze(1))


def _rows(x: Tensor, rows: Tensor) -> Tensor:
    """Return these rows (batch, m) of (batch, heads, n, ...)."""
    return x.gather(2, _like(rows, x).expand(-1, x.shape[1], -1, *x.shape[3:]))


def _like(of_positions: Tensor, x: Tensor) -> Tensor:
    """Return (batch, m) as (batch, 1, m, 1, ..), with as many axes as `x`."""
    return of_positions.unsqueeze(1)[(...,) + (None,) * (x.dim() - 3)]


def decays(log_gamma: Tensor) -> Tensor:
    """Return what is left at i of what was stored at j: gamma from j + 1 to i, (..., n, n); 0 for j > i.

    Logarithms are added up from j + 1 to i for each pair. The difference of two sums from the start is the
    same in exact arithmetic alone: behind a closed gate nothing of its digits is left. No quotient overflows.

    Args:
        log_gamma: (..., n), at most 0.
    """
    n = log_gamma.shape[-1]
    ones = log_gamma.new_ones(n, n)
    until = log_gamma.unsqueeze(-2) * ones.tril()  # [i, l]: of l up to i
    return (until @ ones.tril(-1)).exp().tril()


def carried(decay: Tensor, added: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Carry a state through chunks, each of which leaves a share of it and adds to it.

    Args:
        decay: The logarithm of the share, (..., chunks).
        added: (..., chunks, rows, columns).
        start: The state at first, (..., rows, columns).

    Returns:
        The states before each chunk, of the shape of `added`, and the one after the last.
    """
    flat = start.flatten(-2).unsqueeze(-2)
    left = decay.cumsum(-1).exp().unsqueeze(-1)
    after = (decays(decay) @ added.flatten(-2) + left * flat).unflatten(-1, added.shape[-2:])
    last = after[..., -1, :, :].clone()  # whoever keeps it would keep all of them
    return torch.cat((start.unsqueeze(-3), after[..., :-1, :, :]), dim=-3), last


def turned(turn: Tensor, added: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Carry a state through chunks, each of which multiplies it by a matrix and adds to it.

    Args:
        turn: The matrices, (..., chunks, rows, rows).
        added: (..., chunks, rows, columns).
        start: The state at first, (..., rows, columns).

    Returns:
        The states before each chunk, of the shape of `added`, and the one after the last.
    """
    before = [start]
    for matrix, more in zip(turn.unbind(-3), added.unbind(-3), strict=True):
        before.append(matrix @ before[-1] + more)
    return torch.stack(before[:-1], dim=-3), before[-1]
