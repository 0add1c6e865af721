"""Mixing by sparse circulant links: the offsets of the protocols, and the product itself.

Row i of a factor holds a few non-zero entries, the links, at fixed offsets from i modulo the length.
The product adds shifted views and builds no index, except for short sequences of many lengths. Source:
Yu et al., "Paramixer: Parameterizing Mixing Links in Sparse Factors Works Better than Dot-Product
Self-Attention", CVPR 2022, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.ops.dispatch import Impl, use_triton
from subquad.ops.kernels.limits import obstacle_to_links
from subquad.ops.link_product import Offsets, mix
from subquad.ops.link_rows import real_rows
from subquad.ops.link_shifts import mix_shifts
from subquad.ops.transforms import is_known


def chord_offsets(factors: int) -> Offsets:
    """Return the offsets of CHORD, the same for all factors: 0, 1, 2, 4, .., 2**(factors - 1).

    With `factors` at least log2 of the length, the product of all factors reaches every position
    from every other.

    Args:
        factors: Number of factors M, at least 1; a row has M + 1 links.

    Raises:
        ValueError: If `factors` is below 1.
    """
    if factors < 1:
        raise ValueError(f"factors must be at least 1, got {factors}.")
    return (0, *(2**k for k in range(factors)))


def cdil_offsets(factor: int, links: int = 9) -> Offsets:
    """Return the offsets of CDIL for one factor: 0, +D, +2D, .., -D, -2D, .. with D = 2**factor.

    Args:
        factor: Which factor, from 0; factor 0 is applied first.
        links: Links of a row, odd; (links - 1) / 2 on each side.

    Raises:
        ValueError: If `factor` is negative or `links` is not a positive odd number.
    """
    if factor < 0:
        raise ValueError(f"factor must be at least 0, got {factor}.")
    if links < 1 or links % 2 == 0:
        raise ValueError(f"CDIL takes an odd number of links, as many on each side, got {links}.")
    steps = [2**factor * k for k in range(1, links // 2 + 1)]
    return (0, *steps, *(-step for step in steps))


def link_mix(
    values: Tensor,
    links: Tensor,
    offsets: Sequence[int],
    *,
    residual: bool = False,
    lengths: Tensor | None = None,
    wrap: bool = True,
    impl: Impl = "auto",
) -> Tensor:
    """Multiply by one sparse factor: y[b, i] = sum_k links[b, i, k] * values[b, (i + offsets[k]) % n].

    Sums run in float32 (float64 if `values` is), whatever the precision of the arguments. Both
    directions are sums of shifted rows, so nothing depends on the order of threads, and only
    `values` and `links` are kept for the backward pass. Derivatives of any order exist, in both modes,
    and `torch.func.vmap` over any of the tensors takes one sum for all; "triton" has the ordinary ones alone.

    Args:
        values: (batch, n, dim), any n from 1.
        links: (batch, n, n_links). Links that fall on the same position add up.
        offsets: One integer a link, of either sign and of any size.
        residual: Add `values` to the result.
        lengths: How many positions of each sample count, integers of 0 to n, (batch,); each sample
            wraps at its own length. Rows past it are zero in the result, get no gradient, and are
            never read. A tensor on the CPU spares a wait for the device.
        wrap: False: nothing is modulo the length; what is before the first position of a sample and past its
            last counts as zero. Negative offsets are then causal. Takes as many rows more as the largest
            offset, n at most.
        impl: "auto" adds shifted views, or looks rows up where `lengths` differ and are short, or,
            while compiling or exporting, runs the sum that the compiler fuses into one loop.
            "reference" is that sum, differentiated by PyTorch. "triton" is a kernel for GPUs, one
            launch each way; "auto" takes it where it was measured to be faster, which is nowhere yet.

    Returns:
        The mixed values, (batch, n, dim), of the type of `values`.

    Raises:
        ValueError: If shapes, types, `lengths` or `impl` do not fit, or Triton cannot run here.
    """
    offsets = tuple(offsets)
    _check(values, links, offsets, lengths)
    if not wrap:
        return _mix_without_wrapping(values, links, offsets, residual, lengths, impl)
    obstacle = obstacle_to_links(values, links, offsets)
    if use_triton(impl, values, "link_mix", (*values.shape, len(offsets)), obstacle):
        from subquad.ops.kernels.links import mix_links  # Triton is optional

        if lengths is not None:
            lengths = lengths.to(values.device, torch.int32)
        return mix_links(values, links, lengths, list(offsets), residual, False)
    if impl == "reference":
        return mix_shifts(values, links, offsets, residual, lengths)
    return mix(values, links, lengths, offsets, residual, False)


def _mix_without_wrapping(
    values: Tensor, links: Tensor, offsets: Offsets, residual: bool, lengths: Tensor | None, impl: Impl
) -> Tensor:
    """Wrap into zeros, so many that no link leads from one end to the other."""
    n, room = values.shape[1], max(map(abs, offsets))
    if not torch.compiler.is_compiling():  # where n may be a symbol
        room = min(n, room)
        offsets = tuple(max(-room, min(room, offset)) for offset in offsets)
    if lengths is not None:
        real = real_rows(values, lengths).unsqueeze(-1)
        values, links, lengths = values.where(real, 0), links.where(real, 0), lengths + room
    values, links = (F.pad(x, (0, 0, 0, room)) for x in (values, links))
    return link_mix(values, links, offsets, residual=residual, lengths=lengths, impl=impl)[:, :n]


def _check(values: Tensor, links: Tensor, offsets: Offsets, lengths: Tensor | None) -> None:
    if values.dim() != 3 or 0 in values.shape[:2]:
        raise ValueError(
            f"values must be (batch, positions, dim) with a sample and a position at least, got "
            f"{tuple(values.shape)}."
        )
    for name, x in {"values": values, "links": links}.items():
        if not x.is_floating_point():
            raise ValueError(f"{name} must be of a floating point type, got {x.dtype}; use .float().")
    expected = (*values.shape[:2], len(offsets))
    if not offsets or links.shape != expected:
        raise ValueError(
            f"links must be (batch, positions, one a link) = {expected} for values "
            f"{tuple(values.shape)} and {len(offsets)} offsets, got {tuple(links.shape)}."
        )
    if lengths is not None:
        check_lengths(lengths, *values.shape[:2])


def check_lengths(lengths: Tensor, batch: int, size: int) -> None:
    """Raise ValueError if `lengths` is not one integer of 0 to `size` for each sample."""
    if not isinstance(lengths, Tensor):
        kind = type(lengths).__name__
        raise ValueError(f"lengths must be a tensor, got {kind}; give torch.tensor(lengths).")
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(
            f"lengths must be {batch} integers, one a sample, got {lengths.dtype} {tuple(lengths.shape)}."
        )
    if not is_known(lengths):
        return
    smallest, largest = min(lengths.tolist()), max(lengths.tolist())
    if smallest < 0 or largest > size:
        raise ValueError(f"lengths must be 0 to {size}, the positions there are, got {lengths.tolist()}.")
