"""Softmax attention over the positions so far: the rival of causal mixers whose cost is linear."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.nn.causal import Cache, counted
from subquad.nn.causal_heads import CausalHeads, QueryStart, finite_rows, with_lost_rows
from subquad.ops.transforms import is_known, is_transformed

_BASE = 10_000.0  # of the angles of rotary positions, as in the paper
_QUERIES = 1024  # that are compared at a time with a cache in front: their mask is written out


class CausalAttention(CausalHeads):
    """Attend to all positions so far, O(n^2), in PyTorch's fused form; its cache grows with them.

    q, k, v = conv(W x); o = softmax of q k' / sqrt(size of a head) over what is not later, times v; the
    output is W_o (o * silu(W_z x + b)).

    Args:
        dim: Channels.
        heads: Must divide `dim`.
        rotary: Turn q and k by angles that grow with the position, so that their products depend on how far
            apart they are; `dim / heads` must be even. Any length runs, seen in training or not.
        conv: Positions that a short causal convolution of q, k and v sees, as `CausalHam` has it; 0: none.
        gate: Whether the output is gated, silu(W_z x + b), which is 1 at first.
        start: Of queries and keys, "induction" or "random", see `subquad.nn.causal_heads.CausalHeads`.
            Rotary positions turn a key away from the query that it agrees with, the more the further it is.

    References:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017. Su et al., "RoFormer: Enhanced Transformer
        with Rotary Position Embedding", arXiv 2104.09864.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        rotary: bool = True,
        conv: int = 4,
        gate: bool = True,
        start: QueryStart = "random",
    ) -> None:
        super().__init__(dim, heads, conv, gate, start)
        if rotary and dim // heads % 2:
            raise ValueError(
                f"rotary positions turn pairs of channels, got {heads} heads of {dim // heads} channels; "
                "take another number of heads."
            )
        self.rotary = rotary

    def init_cache(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Cache:
        """Return the cache of no position: "key" and "value", (batch, heads, rows, size), "tail" and "t".

        The first t rows of a sample count; others are room for more.
        """
        device = self.output.weight.device if device is None else device
        dtype = self.output.weight.dtype if dtype is None else dtype
        key, value = torch.zeros(2, batch, self.heads, 0, self.dim // self.heads, device=device, dtype=dtype)
        t = torch.zeros(batch, dtype=torch.int64, device=device)
        return {"key": key, "value": value, "t": t} | self._first_tail(batch, device, dtype)

    def step(self, x_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Mix one more position, (batch, dim), at a cost that grows with what was before."""
        self._check_step(x_t, cache)
        projected, tail = self._project_one(x_t, cache.get("tail"))
        q, k, v = (each.unsqueeze(2) for each in projected)
        o, after = self._continue(q, k, v, cache, None)
        return self._finish(o.squeeze(2), x_t), after | ({} if tail is None else {"tail": tail})

    def _mix(
        self, x: Tensor, cache: Cache | None, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Cache]:
        x, lost = finite_rows(x)
        projected, tail = self._project(x, None if cache is None else cache.get("tail"), lengths)
        q, k, v = (each.transpose(1, 2) for each in projected)
        if cache is None:
            place = torch.arange(x.shape[1], device=x.device)
            # The fused kernels take channels side by side alone; of other layouts PyTorch makes, without a
            # word, all scores at once. The short convolution leaves positions side by side.
            q, k, v = (each.contiguous() for each in (*self._turned(q, k, place), v))
            # Padding comes last: no position that counts sees it.
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            t = torch.zeros(x.shape[0], dtype=torch.int64, device=x.device) + counted(x, lengths)
            after = {"key": k, "value": v, "t": t}
        else:
            o, after = self._continue(q, k, v, cache, lengths)
        y = with_lost_rows(self._finish(o.transpose(1, 2), x), lost)
        if keep:
            after["value"] = with_lost_rows(after["value"], None if lost is None else lost[:, -1:, :, None])
        return y, after | ({} if tail is None else {"tail": tail})

    def _continue(
        self, q: Tensor, k: Tensor, v: Tensor, cache: Cache, lengths: Tensor | None
    ) -> tuple[Tensor, Cache]:
        """Attend to what is in a cache, too; return what was read, (batch, heads, n, size), and the cache."""
        t, n = cache["t"], q.shape[2]
        place = t.unsqueeze(1) + torch.arange(n, device=t.device)
        q, k = self._turned(q, k, place)
        known = is_known(t)
        end = int(t.max()) + n if known else cache["key"].shape[2] + n
        key, value = (_written(cache[name], new, place, end) for name, new in (("key", k), ("value", v)))
        seen, alike = (key[:, :, :end], value[:, :, :end]), known and bool((t == t[0]).all())
        rows = torch.arange(end, device=t.device)
        read = []
        for some, its in zip(q.split(_QUERIES, dim=2), place.split(_QUERIES, dim=1), strict=True):
            its = its[:1] if alike else its
            mask = None if alike and n == 1 else (rows <= its.unsqueeze(2)).unsqueeze(1)
            read.append(F.scaled_dot_product_attention(some, *seen, attn_mask=mask))
        return torch.cat(read, dim=2), {"key": key, "value": value, "t": t + counted(place, lengths)}

    def _cache_shapes(self) -> dict[str, tuple[int | None, ...]]:
        rows = (self.heads, None, self.dim // self.heads)
        return {"key": rows, "value": rows} | super()._cache_shapes()

    def _turned(self, q: Tensor, k: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Turn pairs of channels of (batch, heads, n, size); `place` is (n,), or (batch, n)."""
        if not self.rotary:
            return q, k
        half = q.shape[3] // 2
        # In float64: an angle at position 65,536 has three digits behind the point in float32.
        speed = _BASE ** (-torch.arange(half, device=q.device, dtype=torch.float64) / half)
        angle = place.unsqueeze(-1) * speed
        angle = angle if place.dim() == 1 else angle.unsqueeze(1)
        sums = torch.promote_types(q.dtype, torch.float32)
        cos, sin = angle.cos().to(sums), angle.sin().to(sums)

        def turned(x: Tensor) -> Tensor:
            first, second = x.to(sums).split(half, dim=3)
            return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=3).to(x.dtype)

        return turned(q), turned(k)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.dim}, heads={self.heads}, rotary={self.rotary}"


def _written(rows: Tensor, new: Tensor, place: Tensor, end: int) -> Tensor:
    """Return the rows of a cache with new ones in their places; in place where no graph is recorded.

    Args:
        rows: (batch, heads, rows, size).
        new: (batch, heads, n, size).
        place: (batch, n).
        end: Rows that there must be. Where more are made, some are left for later, so that a row costs the
            same on average, however many there are.
    """
    free = is_known(place) and not is_transformed(rows, new)
    if end > rows.shape[2]:
        rows = F.pad(rows, (0, 0, 0, end + (end // 4 if free else 0) - rows.shape[2]))
    index, new = place[:, None, :, None].expand_as(new), new.to(rows.dtype)
    if free and not (torch.is_grad_enabled() or rows.requires_grad):
        return rows.scatter_(2, index, new)
    return rows.scatter(2, index, new)
