"""Sums over links in ordinary operations: the reference, and what a compiler fuses into one loop."""

from __future__ import annotations

import torch
from torch import Tensor

from subquad.ops.link_rows import precision_of, real_rows


def mix_shifts(
    values: Tensor, links: Tensor, offsets: tuple[int, ...], residual: bool, lengths: Tensor | None
) -> Tensor:
    """Return the mixed values: a row takes rows further on, weighted by its own links."""
    source = _without_padding(values.to(precision_of(values)), lengths)
    links = _without_padding(links.to(source.dtype), lengths)
    mixed = source if residual else torch.zeros_like(source)
    for k, offset in enumerate(offsets):
        mixed = mixed + links[..., k, None] * _shifted(source, offset, lengths)
    return _without_padding(mixed, lengths).to(values.dtype)


def mix_shifts_back(
    grad: Tensor, links: Tensor, offsets: tuple[int, ...], residual: bool, lengths: Tensor | None
) -> Tensor:
    """Return the gradient of the values: a row takes from the rows that took it, by their links."""
    grad = _without_padding(grad.to(precision_of(grad)), lengths)
    links = _without_padding(links.to(grad.dtype), lengths)
    total = grad if residual else torch.zeros_like(grad)
    for k, offset in enumerate(offsets):
        total = total + _shifted(links[..., k, None] * grad, -offset, lengths)
    return _without_padding(total, lengths)


def compare_shifts(grad: Tensor, values: Tensor, offsets: tuple[int, ...], lengths: Tensor | None) -> Tensor:
    """Return the gradient of the links: products of a row's gradient with the rows it took."""
    grad = _without_padding(grad.to(precision_of(grad)), lengths)
    values = _without_padding(values.to(grad.dtype), lengths)
    products = [(grad * _shifted(values, offset, lengths)).sum(-1) for offset in offsets]
    return torch.stack(products, dim=-1)


def _shifted(x: Tensor, offset: int, lengths: Tensor | None) -> Tensor:
    """Return x[b, (i + offset) % length of b] at row i."""
    if lengths is None:
        return x.roll(-offset, dims=1)
    rows = torch.arange(x.shape[1], device=x.device) + offset
    # Where samples wrap differently the row is computed; a fused loop does so as it goes.
    rows = rows % lengths.to(x.device).clamp_min(1).unsqueeze(1)
    return x.gather(1, rows.unsqueeze(-1).expand_as(x))


def _without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return x
    return x.where(real_rows(x, lengths).unsqueeze(-1), 0)
