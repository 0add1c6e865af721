"""Mixing by causal links: factors in which a row takes itself and one row before it, weighted by a gate.

These are factors of a Paramixer with two links a row, to itself and 2**m rows back, which sum to one before
they are scaled, without wrap-around: nothing is before the start. M factors reach 2**M - 1 rows back. The
channels of a head share their gates, and heads do not meet.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.ops.autocast import autocast_off
from subquad.ops.causal_link_blocks import chain_by_blocks
from subquad.ops.dispatch import Impl, use_triton
from subquad.ops.kernels.limits import obstacle_to_causal_links
from subquad.ops.link_rows import precision_of
from subquad.ops.transforms import is_transformed

# Of two independent rows of variance one, halves sum up to a variance of one again.
SCALE = math.sqrt(2)


def causal_link_mix(
    values: Tensor,
    gates: Tensor,
    offset: int,
    *,
    scale: float = SCALE,
    before: Tensor | None = None,
    impl: Impl = "auto",
) -> Tensor:
    """Multiply by one factor: y_i = scale * ((1 - a_i) * x_i + a_i * x_{i - offset}).

    Derivatives of any order exist. Sums run in float32 (float64 if `values` is), whatever the precision of
    the arguments.

    Args:
        values: x, (batch, n, dim); quickest where positions of a channel lie side by side.
        gates: a, (batch, n, heads); `heads` divides `dim`, and a head is as many channels side by side.
        offset: At least 1.
        scale: Of the result.
        before: The rows before the first, (batch, offset, dim), the latest last; None: zeros.
        impl: "reference" is in ordinary operations, for every transform. "triton" is a kernel for GPUs, one
            launch each way, without `before`; "auto" takes it where it was measured to be faster, which is
            nowhere yet.

    Returns:
        (batch, n, dim), of the type of `values`.

    Raises:
        ValueError: If shapes or `impl` do not fit, `offset` is below 1, or Triton cannot run here.
    """
    _check_values(values, gates.shape[-1])
    if gates.shape[:-1] != values.shape[:2] or offset < 1:
        raise ValueError(
            f"gates must be (batch, positions, heads) for values {tuple(values.shape)}, and offset at least "
            f"1, got {tuple(gates.shape)} and {offset}."
        )
    if before is not None and before.shape != (values.shape[0], offset, values.shape[2]):
        raise ValueError(
            f"before must be {(values.shape[0], offset, values.shape[2])}, as many rows as the offset, got "
            f"{tuple(before.shape)}."
        )
    dtype = precision_of(values)
    obstacle = obstacle_to_causal_links(values, gates) if before is None else "takes no rows before the first"
    if use_triton(impl, values, "causal_link_mix", (*values.shape, gates.shape[-1]), obstacle):
        from subquad.ops.kernels.causal_links import mix_causal_links  # Triton is optional

        y = mix_causal_links(values, gates, offset, False)
        return y if scale == 1 else scale * y
    with autocast_off(values):
        here = _by_head(values.to(dtype), gates.shape[-1])
        if before is None:  # more zeros than rows are of no use
            earlier = here.new_zeros(*here.shape[:3], torch.sym_min(offset, values.shape[1]))
        else:
            earlier = _by_head(before.to(dtype), gates.shape[-1])
        longer = torch.cat((earlier, here), dim=-1)
        y = torch.lerp(here, longer[..., : values.shape[1]], gates.to(dtype).mT.unsqueeze(2))
        return (y if scale == 1 else scale * y).flatten(1, 2).mT.to(values.dtype)


def causal_link_chain(
    values: Tensor,
    logits: Tensor,
    hidden: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    impl: Impl = "auto",
) -> Tensor:
    """Multiply by M factors, factor m with offset 2**m, whose gates are sigmoid(logits + weight hidden).

    The gates, and what is between factors, are computed head by head in parts that fit the cache, and again
    for the backward pass: kept are the arguments alone, of which `hidden` may be smaller than the gates.
    That gradient is our own. For those of higher order, under the transforms of `torch.func`, and while
    compiling or exporting, the same is done in ordinary operations, which keep all that is on the way.

    Args:
        values: (batch, n, dim), any n from 1.
        logits: (M, heads); `heads` divides `dim`.
        hidden: What the gates are computed from, (batch, n, width); None: the gates are the same everywhere.
        weight: (M, heads, width), with `hidden`.
        impl: "auto" is that; "reference" is in ordinary operations; "triton" takes the kernel of
            `causal_link_mix` for each factor, "auto", too, where that was measured to be faster.

    Returns:
        (batch, n, dim), of the type of `values`; sums run in float32, in float64 if `values` is.

    Raises:
        ValueError: If shapes or `impl` do not fit, or Triton cannot run here.
    """
    _check_chain(values, logits, hidden, weight)
    given = [x for x in (values, logits, hidden, weight) if x is not None]
    obstacle = obstacle_to_causal_links(*given)
    if use_triton(impl, values, "causal_link_chain", (*values.shape, *logits.shape), obstacle):
        return _factor_by_factor(values, logits, hidden, weight, "triton")
    if impl == "reference" or torch.compiler.is_compiling() or is_transformed(*given):
        return _factor_by_factor(values, logits, hidden, weight)
    return chain_by_blocks(values, logits, hidden, weight, _factor_by_factor)


def _factor_by_factor(
    values: Tensor,
    logits: Tensor,
    hidden: Tensor | None,
    weight: Tensor | None,
    impl: Impl = "reference",
) -> Tensor:
    y = values.to(precision_of(values))
    with autocast_off(values):
        for m, gates in enumerate(_gates(y, logits, hidden, weight).unbind(2)):
            y = causal_link_mix(y, gates, 2**m, scale=1, impl=impl)
        return (y * SCALE ** len(logits)).to(values.dtype)


def causal_link_part(
    values: Tensor,
    before: Tensor,
    logits: Tensor,
    hidden: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Do what `causal_link_chain` does for a part of a sequence, in ordinary operations.

    Args:
        values: The part, (batch, n, dim).
        before: What the factors were given before it, not scaled, (batch, 2**M - 1, dim): the last row for
            factor 0, then the last two for factor 1, and so on, the latest last; zeros before the start.
        logits: As there.
        hidden: As there.
        weight: As there.
        lengths: How many positions of each sample count, (batch,) integers; None: all.

    Returns:
        The mixed values, and what to give as `before` of the next part, each sample's own.
    """
    _check_chain(values, logits, hidden, weight)
    y, after = values.to(precision_of(values)), []
    with autocast_off(values):
        for m, gates in enumerate(_gates(y, logits, hidden, weight).unbind(2)):
            size = 2**m
            rows = before[:, size - 1 : 2 * size - 1]
            after.append(_last_rows(rows, y, lengths))
            y = causal_link_mix(y, gates, size, scale=1, before=rows, impl="reference")
        return (y * SCALE ** len(logits)).to(values.dtype), torch.cat(after, dim=1)


def causal_link_step(
    values: Tensor,
    past: Tensor,
    logits: Tensor,
    hidden: Tensor | None = None,
    weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Do what `causal_link_chain` does for one more position.

    Args:
        values: (batch, dim).
        past: What factor m was given 2**m positions before, not scaled, (batch, M, dim).
        logits: As there.
        hidden: (batch, width), or None.
        weight: As there.

    Returns:
        The mixed values, and what each factor was given now, (batch, M, dim).
    """
    with autocast_off(values):
        y, heads, given = values.to(past.dtype), logits.shape[1], []
        hidden = None if hidden is None else hidden.unsqueeze(1)
        gates = _gates(y.unsqueeze(1), logits, hidden, weight)[:, 0].unsqueeze(3)
        y = y.unflatten(1, (heads, -1))
        for earlier, some in zip(past.unflatten(2, (heads, -1)).unbind(1), gates.unbind(1), strict=True):
            given.append(y)
            y = torch.lerp(y, earlier, some)
        y = y.flatten(1) * SCALE ** len(logits)
        return y.to(values.dtype), torch.stack(given, dim=1).flatten(2)


def _gates(values: Tensor, logits: Tensor, hidden: Tensor | None, weight: Tensor | None) -> Tensor:
    """Return the gates, (batch, n, M, heads), in the type of `values`."""
    logits = logits.to(values.dtype)
    if hidden is None or weight is None:
        return logits.sigmoid().expand(*values.shape[:2], -1, -1)
    flat = F.linear(hidden.to(logits.dtype), weight.to(logits.dtype).flatten(0, 1), logits.flatten())
    return flat.sigmoid().unflatten(2, logits.shape)


def _last_rows(before: Tensor, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return as many rows as `before` has, the last that count of it followed by `x`."""
    both = torch.cat((before, x), dim=1)
    if lengths is None:
        return both[:, x.shape[1] :]
    rows = lengths.to(x.device).unsqueeze(1) + torch.arange(before.shape[1], device=x.device)
    return both.gather(1, rows.unsqueeze(2).expand(-1, -1, x.shape[2]))


def _by_head(x: Tensor, heads: int) -> Tensor:
    """Return (batch, n, dim) as (batch, heads, channels of a head, n)."""
    return x.mT.unflatten(1, (heads, -1))


def _check_values(values: Tensor, heads: int) -> None:
    if values.dim() != 3 or 0 in values.shape or not values.is_floating_point():
        raise ValueError(
            f"values must be (batch, positions, dim), one of each at least, of a floating point type, got "
            f"{values.dtype} {tuple(values.shape)}."
        )
    if heads < 1 or values.shape[2] % heads:
        raise ValueError(
            f"heads must divide the {values.shape[2]} channels of the values, got {heads} heads."
        )


def _check_chain(values: Tensor, logits: Tensor, hidden: Tensor | None, weight: Tensor | None) -> None:
    if logits.dim() != 2 or not len(logits):
        raise ValueError(f"logits must be (factors, heads), a factor at least, got {tuple(logits.shape)}.")
    _check_values(values, logits.shape[1])
    if hidden is None and weight is None:
        return
    if hidden is None or weight is None:
        raise ValueError("give hidden and weight together, or none of them; got one.")
    if hidden.dim() != 3 or hidden.shape[:2] != values.shape[:2]:
        raise ValueError(
            f"hidden must be (batch, positions, width) for values {tuple(values.shape)}, got "
            f"{tuple(hidden.shape)}."
        )
    expected = (*logits.shape, hidden.shape[2])
    if weight.shape != expected:
        raise ValueError(f"weight must be (factors, heads, width) = {expected}, got {tuple(weight.shape)}.")
