"""A linear memory of keys and values: what was stored decays, and three solvers read it.

With a decay gamma and a weight beta of each position, both from 0 to 1::

    S_t = gamma_t S_{t-1} + beta_t k_t v_t'                             "none" and "ridge"
    G_t = gamma_t G_{t-1} + beta_t k_t k_t'                             "ridge"
    S_t = gamma_t S_{t-1} + beta_t k_t (v_t - gamma_t S_{t-1}' k_t)'    "gradient"

    o_t = S_t' q_t                                                      "none" and "gradient"
    o_t = S_t' (G at the start of the chunk + diag ridge)^-1 q_t        "ridge"

Within a chunk all positions are computed at once. With D_ij the product of gamma from j + 1 to i, g_i that
from the start of the chunk to i, and S_0 the state before it, all three are::

    O = g (Q S_0) + ((Q K') * D) U,      S_end = g_end S_0 + (D_end K)' U

    U = beta V                                                          "none" and "ridge"; G alike, of K
    (I + beta (K K') * D below the diagonal) U = beta (V - g (K S_0))   "gradient"
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from subquad.ops.autocast import autocast_off
from subquad.ops.memory_checks import check_memory, check_options
from subquad.ops.memory_chunks import CLOSED, carried, chunks_of, decays, into_chunks, out_of_chunks, turned
from subquad.ops.memory_inverse import regularised_inverse, renewed_inverse

MemorySolver = Literal["ridge", "gradient", "none"]
MemoryGradient = Literal["one_step", "full"]


class MemoryState(NamedTuple):
    """What is known of the positions so far.

    For "ridge" in float64, where the device has it: the inverse enlarges what rounding leaves of S in
    directions without keys, which is much after a thousand times the same key.

    Attributes:
        memory: S, (batch, heads, key size, value size).
        gram: G, (batch, heads, key size, key size); None but for "ridge".
        inverse: (G + diag ridge)^-1 at the start of the chunk that the latest position is in, of the shape
            of G; None but for "ridge".
    """

    memory: Tensor
    gram: Tensor | None = None
    inverse: Tensor | None = None


def empty_memory(
    batch: int,
    heads: int,
    key_size: int,
    value_size: int,
    *,
    solver: MemorySolver = "ridge",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> MemoryState:
    """Return the state of no position.

    Args:
        batch: Samples.
        heads: Memories of each.
        key_size: Entries of a key.
        value_size: Entries of a value.
        solver: What it is for.
        device: Where it is.
        dtype: float32 or float64; "ridge" takes float64 itself, see `MemoryState`.
    """
    if solver == "ridge":
        dtype = _exact(torch.empty(0, device=device).device)

    def zeros(columns: int) -> Tensor:
        return torch.zeros(batch, heads, key_size, columns, device=device, dtype=dtype)

    if solver != "ridge":
        return MemoryState(zeros(value_size))
    return MemoryState(zeros(value_size), zeros(key_size), zeros(key_size))


def _exact(device: torch.device) -> torch.dtype:
    """Return the type of the state of "ridge"."""
    return torch.float32 if device.type == "mps" else torch.float64


def linear_memory(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_gamma: Tensor,
    *,
    solver: MemorySolver = "ridge",
    ridge: Tensor | None = None,
    grad: MemoryGradient = "one_step",
    chunk: int = 64,
    state: MemoryState | None = None,
    offset: Tensor | None = None,
    lengths: Tensor | None = None,
) -> tuple[Tensor, MemoryState]:
    """Store and read at all positions, each of which reads what is stored up to itself.

    Runs in float32 (float64 if `q` is) under any autocast, and is made of ordinary operations: derivatives of
    any order exist, in all transforms.

    Args:
        q: What is looked for, (batch, heads, n, key size), any n from 1.
        k: Under what is stored, of the same shape; for "gradient" of length one, or longer ones may diverge.
        v: What is stored, (batch, heads, n, value size).
        beta: How much, (batch, heads, n), 0 to 1.
        log_gamma: Logarithm of what a position leaves of the memory before it, (batch, heads, n), at most 0.
        solver: How it is read, see above. "ridge": ridge regression of the values on the keys; "gradient":
            one gradient step a position on the same loss; "none": the plain sum.
        ridge: What is added to the diagonal of G, (heads, key size), above 0; for "ridge".
        grad: For "ridge". "one_step" takes G for a constant: derivatives by q, v and `ridge` are exact, those
            by k, beta and log_gamma are what goes by way of S. "full" has what goes by way of G, too.
        chunk: Positions of a chunk; what "ridge" gives depends on it, what the others give does not.
        state: After what was before; None: nothing was.
        offset: How many positions of its chunk each sample already had, (batch,) integers of 0 to
            chunk - 1; None: none. Of no matter but for "ridge".
        lengths: How many positions of each sample count, (batch,) integers; None: all. The others come last,
            must be finite, and leave the state as it is.

    Returns:
        What was read, (batch, heads, n, value size), of the type of `v`, and the state after the last
        position.

    Raises:
        ValueError: If shapes, solver, grad or chunk do not fit.

    References:
        Wang et al., "Test-time regression: a unifying framework for designing sequence models with
        associative memory", arXiv 2501.12352, for the family. von Oswald et al., "MesaNet: Sequence modeling
        by locally optimal test-time training", arXiv 2506.05233, for "ridge" solved at every position. Yang
        et al., "Gated Delta Networks: Improving Mamba2 with Delta Rule", arXiv 2412.06464, and "Parallelizing
        Linear Transformers with the Delta Rule over Sequence Length", arXiv 2406.06484, for "gradient".
    """
    check_options(solver, grad, chunk)
    check_memory(q, k, v, beta, log_gamma, solver, ridge)
    if q.dim() != 4:
        raise ValueError(f"q must be (batch, heads, positions, key size), got {tuple(q.shape)}.")
    offset = offset if solver == "ridge" else None
    # A triangular solve costs the size of a chunk at each position.
    size, count = chunks_of(q.shape[2], min(chunk, 32) if solver == "gradient" else chunk, offset)
    with autocast_off(q):
        sums = torch.promote_types(q.dtype, torch.float32)
        log_gamma = log_gamma.to(sums).clamp_min(CLOSED)
        if lengths is not None:  # nothing is stored at a padding, and nothing lost
            real = torch.arange(q.shape[2], device=q.device) < lengths.to(q.device)[:, None, None]
            beta, log_gamma = beta.where(real, 0), log_gamma.where(real, 0)
        given = (x.to(sums) for x in (q, k, v, beta, log_gamma))
        chunks = _Chunks(*(into_chunks(x, size, offset, count) for x in given))
        if state is None:
            sizes = (q.shape[0], q.shape[1], q.shape[3], v.shape[3])
            state = empty_memory(*sizes, solver=solver, device=q.device, dtype=sums)
        if solver == "ridge":
            assert ridge is not None
            ends = _ends(q.shape[2], offset, lengths)
            o, after = _ridge(chunks, state, ridge, grad, offset, ends)
        else:
            o, after = (_gradient if solver == "gradient" else _sum)(chunks, state)
        return out_of_chunks(o, q.shape[2], offset).to(v.dtype), after


class _Chunks:
    """What is given, cut into chunks, and what is left of it where."""

    def __init__(self, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_gamma: Tensor) -> None:
        self.q, self.k, self.v, self.beta = q, k, v, beta.unsqueeze(-1)
        self.decay = decays(log_gamma)  # D
        self.since_start = log_gamma.cumsum(-1).exp().unsqueeze(-1)  # g
        self.whole = log_gamma.sum(-1)  # the logarithm of g_end
        self.kept = (k * self.decay[..., -1, :, None]).mT  # (D_end K)'

    def read(self, q: Tensor, u: Tensor, before: Tensor) -> Tensor:
        """Return what `q` finds in the states before the chunks, and of `u` in its own chunk."""
        return self.since_start * (q @ before) + self.within(q, u)

    def within(self, q: Tensor, u: Tensor) -> Tensor:
        """Return what `q` finds of `u` in its own chunk."""
        return ((q @ self.k.mT) * self.decay) @ u


def _sum(x: _Chunks, state: MemoryState) -> tuple[Tensor, MemoryState]:
    u = x.beta * x.v
    before, last = carried(x.whole, x.kept @ u, state.memory)
    return x.read(x.q, u, before), MemoryState(last)


def _gradient(x: _Chunks, state: MemoryState) -> tuple[Tensor, MemoryState]:
    keys = x.beta * x.k
    below = (keys @ x.k.mT) * x.decay  # the solver looks below the diagonal alone
    given = torch.cat((x.beta * x.v, x.since_start * keys), dim=-1)
    solved = torch.linalg.solve_triangular(below, given, upper=False, unitriangular=True)
    fresh, known = solved.split((x.v.shape[-1], x.k.shape[-1]), dim=-1)  # U = fresh - known S_0
    one = torch.eye(x.k.shape[-1], dtype=x.k.dtype, device=x.k.device)
    turn = x.whole.exp()[..., None, None] * one - x.kept @ known
    before, last = turned(turn, x.kept @ fresh, state.memory)
    return x.read(x.q, fresh - known @ before, before), MemoryState(last)


def _ridge(
    x: _Chunks, state: MemoryState, ridge: Tensor, grad: str, offset: Tensor | None, ends: Tensor | None
) -> tuple[Tensor, MemoryState]:
    assert state.gram is not None and state.inverse is not None
    exact, sums = _exact(x.q.device), x.q.dtype
    u, whole = x.beta * x.v, x.whole.to(exact)
    kept = x.kept.to(exact)
    before, last = carried(whole, kept @ u.to(exact), state.memory.to(exact))
    grams, last_gram = carried(whole, kept @ (x.beta * x.k).to(exact), state.gram.to(exact))
    known = grams.detach() if grad == "one_step" else grams
    inverses = regularised_inverse(known, ridge.to(exact).unsqueeze(1))
    if offset is not None:  # the first chunk began in an earlier call
        began = (offset > 0)[:, None, None, None]
        first = state.inverse.where(began, inverses[:, :, 0])
        inverses = torch.cat((first.unsqueeze(2), inverses[:, :, 1:]), dim=2)
    # Their product is of the size of a value, and rounded after it was made; the two may be far larger.
    answers = (inverses @ before).to(sums)
    o = x.since_start * (x.q @ answers) + x.within(x.q @ inverses.to(sums), u)
    if ends is None:
        return o, MemoryState(last, last_gram, inverses[:, :, -1].clone())
    # Each sample ends in a chunk of its own; without a position of its own it keeps the inverse it had.
    chunk = (ends - 1).div(x.q.shape[3], rounding_mode="floor") + 1
    inverses = torch.cat((state.inverse.unsqueeze(2), inverses), dim=2)
    latest = inverses.take_along_dim(chunk[:, None, None, None, None], dim=2).squeeze(2)
    return o, MemoryState(last, last_gram, latest)


def _ends(n: int, offset: Tensor | None, lengths: Tensor | None) -> Tensor | None:
    """Return how far from the start of its first chunk each sample ends; None: all with the last position."""
    if offset is None:
        return lengths
    return offset + (n if lengths is None else lengths.to(offset.device))


def memory_step(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_gamma: Tensor,
    state: MemoryState,
    *,
    solver: MemorySolver = "ridge",
    ridge: Tensor | None = None,
    grad: MemoryGradient = "one_step",
    starts: Tensor | None = None,
) -> tuple[Tensor, MemoryState]:
    """Store and read at one position, as `linear_memory` does; exported, it needs no factorisation.

    Args:
        q: (batch, heads, key size).
        k: The same.
        v: (batch, heads, value size).
        beta: (batch, heads).
        log_gamma: (batch, heads).
        state: After what was before.
        solver: As of `linear_memory`.
        ridge: As of `linear_memory`.
        grad: As of `linear_memory`.
        starts: Whether the position is the first of a chunk, (batch,), for "ridge".

    Returns:
        What was read, (batch, heads, value size), of the type of `v`, and the state after the position.

    Raises:
        ValueError: If shapes, solver or grad do not fit.
    """
    with autocast_off(q):
        sums = _exact(q.device) if solver == "ridge" else torch.promote_types(q.dtype, torch.float32)
        given = (x.to(sums).unsqueeze(-1) for x in (q, k, v, beta, log_gamma))
        column, key, value, weight, log_left = given
        weight, left = weight.unsqueeze(-1), log_left.exp().unsqueeze(-1)
        kept, gram, inverse = left * state.memory, state.gram, state.inverse
        if solver == "ridge":
            assert gram is not None and inverse is not None and ridge is not None and starts is not None
            known = gram.detach() if grad == "one_step" else gram
            inverse = renewed_inverse(inverse, known, ridge.to(sums), starts)
            column = inverse @ column
            gram = left * gram + weight * key * key.mT
        if solver == "gradient":
            value = value - kept.mT @ key
        memory = kept + weight * key * value.mT
        return (memory.mT @ column).squeeze(-1).to(v.dtype), MemoryState(memory, gram, inverse)
