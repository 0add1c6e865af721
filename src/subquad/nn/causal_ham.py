"""A ham for sequences in which no position sees a later one: a memory of keys and values that decays."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from subquad.nn.causal import Cache, counted
from subquad.nn.causal_heads import CausalHeads, QueryStart, finite_rows, with_lost_rows
from subquad.ops.autocast import autocast_off
from subquad.ops.memory import (
    MemoryGradient,
    MemorySolver,
    MemoryState,
    empty_memory,
    linear_memory,
    memory_step,
)
from subquad.ops.memory_checks import check_options
from subquad.ops.transforms import is_known, is_transformed

# Positions that are computed at a time: what they take in between is a small part of a long sequence, and
# stays in the cache of a processor.
_PART = 1024
_LEAST_RIDGE = 0.01
_TINY = 1e-6  # beside the square of a length; of what is about one, it changes nothing
# Deviation of angles at first, in radians, with start="induction". With larger ones keys agree less by
# chance, and passages are copied sooner, but what is near is learned later (experiments/language/README.md).
_PHASES = 2.0
_LARGEST = 1e30  # of parts of an angle: infinity has no cosine, and NaN would reach the positions before

MemoryKeys = Literal["unit", "phase"]


class CausalHam(CausalHeads):
    """Complete values from keys by a linear memory of all positions so far, O(n), with constant state.

    For each head, with q, k, v = conv(W x), q and k of length one::

        S_t = gamma_t S_{t-1} + beta_t k_t v_t'      G_t = gamma_t G_{t-1} + beta_t k_t k_t'

    beta = sigmoid and log gamma = logsigmoid of a linear map of x. What a position asks for, q, is a column
    [q; ?] of which the lower part is missing, and the columns [k; v] so far are its dictionary. Its codes by
    least squares with a ridge, the code step of `CD` in closed form, complete it: o = S' (G + diag ridge)^-1
    q. The output is W_o (rmsnorm(o) * silu(W_z x + b)), with the norm over each head.

    This is the family of online ridge regression and fast weights, which others found from other sides
    (test-time regression, MesaNet, DeltaNet, gated linear attention).

    Sequences of more than some 1,000 positions are computed, and in training computed once more for the
    backward pass, part by part. Beside the input and the output that holds the state at each part and what
    one part takes. Derivatives of any order exist, in all transforms of `torch.func`. What is exported takes
    any length from two chunks on, but the one it was shown with solver="gradient".

    Args:
        dim: Channels.
        heads: Memories side by side, each of keys by `dim / heads` numbers; must divide `dim`.
        solver: "ridge": as above, G being that at the start of a chunk of positions. "gradient": instead,
            each position takes one gradient step on the square of S' k - v (the gated delta rule), and o = S'
            q. "none": o = S' q (gated linear attention); a SiLU is before the lengths of q and k.
        chunk: Positions that share an inverse, for "ridge". In the first chunk it is that of the ridge alone:
            what is to be recalled within n positions needs chunks several times shorter. Of speed alone for
            the others.
        conv: Positions that the short convolution sees; 0: none.
        gate: Whether the output is gated, silu(W_z x + b), which is 1 at first.
        grad: What is differentiated of "ridge". With c = (G + diag ridge)^-1 q, the codes: "one_step" takes G
            for a constant. o = S' c stays linear in the values, and its derivatives by v and q (through the
            inverse) and by the ridge are exact; k, beta and gamma get those by way of S, not those by way of
            G. "full" has them all. The other solvers have no inverse, and all of their derivatives.
        keys: "unit": as above. "phase": conv(W x) gives angles z, and q and k are [cos z; sin z], of length
            one and twice the size. Angles add up over the positions of the convolution, so that a key is the
            product of a rotation by each token in it: two keys agree if all of their tokens do, and less than
            directions do (0.47 rather than 0.65 before training, if one of three differs). There is no SiLU
            with them. S is twice as large, G and its inverse four times.
        start: Of queries and keys, "induction" or "random", see `subquad.nn.causal_heads.CausalHeads`.

    Attributes:
        ridge: What is added to G is softplus of it plus 0.01, (heads, size of a key); None but for "ridge".

    References:
        Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021, for the decomposition and
        the one-step gradient; for the family see `subquad.ops.linear_memory`. Plate, "Holographic reduced
        representations", IEEE Trans. Neural Networks 6, 1995, for binding by adding angles; Rahimi and Recht,
        "Random features for large-scale kernel machines", NIPS 2007, for cosines as a Gaussian kernel.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        solver: MemorySolver = "ridge",
        chunk: int = 64,
        conv: int = 4,
        gate: bool = True,
        grad: MemoryGradient = "one_step",
        keys: MemoryKeys = "unit",
        start: QueryStart = "induction",
    ) -> None:
        if keys not in get_args(MemoryKeys):
            raise ValueError(f"keys must be one of {', '.join(get_args(MemoryKeys))}, got {keys!r}.")
        super().__init__(dim, heads, conv, gate, start, key_scale=_PHASES if keys == "phase" else None)
        check_options(solver, grad, chunk)
        self.keys: MemoryKeys = keys
        self._key_size = dim // heads * (2 if keys == "phase" else 1)
        self.solver: MemorySolver = solver
        self.grad: MemoryGradient = grad
        self.chunk = chunk
        self.gates = nn.Linear(dim, 2 * heads)  # beta of each head, and gamma
        self.norm = nn.RMSNorm(dim // heads, eps=1e-5)
        shape = (heads, self._key_size)
        self.ridge = nn.Parameter(torch.empty(shape)) if solver == "ridge" else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start with gates that hardly see the data, memories of some 20 to 1,000 positions, a ridge of 1."""
        self.gates.reset_parameters()
        self.gates.weight *= 0.1
        # On the CPU, wherever the layer is: who builds on "meta" may let one of the two be there, one not.
        starts = torch.ones(self.heads, device="cpu"), torch.linspace(3, 7, self.heads, device="cpu")
        self.gates.bias.copy_(torch.cat(starts))
        if self.ridge is not None:
            self.ridge.fill_(math.log(math.expm1(1 - _LEAST_RIDGE)))

    def init_cache(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Cache:
        """Return the cache of no position: "memory", "gram", "inverse", "tail" and "t"; of constant size."""
        device = self.output.weight.device if device is None else device
        dtype = self.output.weight.dtype if dtype is None else dtype
        sizes = self._key_size, self.dim // self.heads
        sums = torch.promote_types(dtype, torch.float32)
        state = empty_memory(batch, self.heads, *sizes, solver=self.solver, device=device, dtype=sums)
        t = torch.zeros(batch, dtype=torch.int64, device=device)
        tail = self._first_tail(batch, device, sums if self.keys == "phase" else dtype)
        return _stored(state) | tail | {"t": t}

    def step(self, x_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Mix one more position, (batch, dim)."""
        self._check_step(x_t, cache)
        (q, k, v), tail = self._project_one(x_t, cache.get("tail"))
        q, k = self._unit(q), self._unit(k)
        beta, log_gamma = self._strengths(x_t)
        o, state = memory_step(
            q, k, v.to(q.dtype), beta, log_gamma, _state(cache), solver=self.solver, ridge=self._ridge(),
            grad=self.grad, starts=cache["t"] % self.chunk == 0,
        )  # fmt: skip
        after = _stored(state) | ({} if tail is None else {"tail": tail}) | {"t": cache["t"] + 1}
        return self._finish(self._normed(o), x_t), after

    def _mix(
        self, x: Tensor, cache: Cache | None, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Cache]:
        x, lost = finite_rows(x)
        tail = None if cache is None else cache.get("tail")
        state = None if cache is None else _state(cache)
        offset = None if cache is None else self._offset(cache["t"])
        # Of a length that a compiler does not know it cannot make parts.
        in_parts = not torch.compiler.is_compiling() and x.shape[1] > _PART
        mix = self._mix_parts if in_parts else self._mix_part
        y, tail, state = mix(x, tail, state, offset, lengths)
        y = with_lost_rows(y, lost)
        if not keep:
            return y, {}
        lost = None if lost is None else lost[:, -1, :, None, None]
        state = state._replace(memory=with_lost_rows(state.memory, lost))
        t = torch.zeros(x.shape[0], dtype=torch.int64, device=x.device) if cache is None else cache["t"]
        after = {"t": t + counted(x, lengths)}
        return y, _stored(state) | ({} if tail is None else {"tail": tail}) | after

    def _cache_shapes(self) -> dict[str, tuple[int | None, ...]]:
        keys = self.heads, self._key_size
        shapes: dict[str, tuple[int | None, ...]] = {"memory": (*keys, self.dim // self.heads)}
        if self.solver == "ridge":
            shapes |= {"gram": (*keys, self._key_size), "inverse": (*keys, self._key_size)}
        return shapes | super()._cache_shapes()

    def _mix_parts(
        self,
        x: Tensor,
        tail: Tensor | None,
        state: MemoryState | None,
        offset: Tensor | None,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, MemoryState]:
        """Mix some positions after others, keeping little of them for the backward pass."""
        # The transforms of `torch.func` keep what they need themselves, and refuse checkpoints.
        again = torch.is_grad_enabled() and not is_transformed(x, *self.parameters())
        size = -(-_PART // self.chunk) * self.chunk  # each begins where the one before did, in its chunk
        rows = []
        for number, part in enumerate(x.split(size, dim=1)):
            left = None if lengths is None else (lengths - number * size).clamp(0, part.shape[1])
            given = (part, tail, state, offset, left)
            if again:
                mixed = checkpoint(self._mix_part, *given, use_reentrant=False, preserve_rng_state=False)
                assert isinstance(mixed, tuple)
            else:
                mixed = self._mix_part(*given)
            y, tail, state = mixed
            rows.append(y)
        assert state is not None
        return torch.cat(rows, dim=1), tail, state

    def _mix_part(
        self,
        x: Tensor,
        tail: Tensor | None,
        state: MemoryState | None,
        offset: Tensor | None,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, MemoryState]:
        """Return the mixed positions, and the tail and the state after them."""
        (q, k, v), tail = self._project(x, tail, lengths)
        q, k = self._unit(q), self._unit(k)
        given = (q, k, v.to(q.dtype), *self._strengths(x))
        o, state = linear_memory(
            *(each.transpose(1, 2) for each in given), solver=self.solver, ridge=self._ridge(),
            grad=self.grad, chunk=self.chunk, state=state, offset=offset, lengths=lengths,
        )  # fmt: skip
        return self._finish(self._normed(o.transpose(1, 2)), x), tail, state

    def _offset(self, t: Tensor) -> Tensor | None:
        """Return how many positions of its chunk each sample already had; None: none of them any."""
        if self.solver != "ridge":
            return None
        offset = t % self.chunk
        return offset if not is_known(t) or bool(offset.any()) else None

    def _mapped(self, x: Tensor) -> Tensor:
        if self.keys == "unit":
            return super()._mapped(x)
        with autocast_off(x):  # angles of several turns, of which bfloat16 would leave one digit
            rows = self.query_key_value(x.to(self.norm.weight.dtype))
            rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
            return rows.clamp(-_LARGEST, _LARGEST)

    def _unit(self, x: Tensor) -> Tensor:
        """Return queries or keys with length one, in the precision of sums."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.keys == "phase":
            return torch.cat((x.cos(), x.sin()), dim=-1) * x.shape[-1] ** -0.5
        if self.solver == "none":
            x = F.silu(x)
        return x * (x.square().sum(-1, keepdim=True) + _TINY).rsqrt()

    def _strengths(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return beta and log gamma, (..., heads): how much is stored, and what is left of what was."""
        with autocast_off(x):  # gamma is nearly one, where bfloat16 has two digits
            sums = torch.promote_types(x.dtype, torch.float32)
            both = F.linear(x.to(sums), self.gates.weight.to(sums), self.gates.bias.to(sums))
            beta, gamma = both.unflatten(-1, (2, self.heads)).unbind(-2)
            return beta.sigmoid(), F.logsigmoid(gamma)

    def _ridge(self) -> Tensor | None:
        if self.ridge is None:
            return None
        return F.softplus(self.ridge.to(torch.promote_types(self.ridge.dtype, torch.float32))) + _LEAST_RIDGE

    def _normed(self, o: Tensor) -> Tensor:
        return F.rms_norm(o, self.norm.normalized_shape, self.norm.weight.to(o.dtype), self.norm.eps)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        options = ("heads", "solver", "chunk", "grad", "keys", "start")
        return ", ".join((str(self.dim), *(f"{name}={getattr(self, name)!r}" for name in options)))


def _stored(state: MemoryState) -> Cache:
    return {name: tensor for name, tensor in state._asdict().items() if tensor is not None}


def _state(cache: Cache) -> MemoryState:
    return MemoryState(cache["memory"], cache.get("gram"), cache.get("inverse"))
