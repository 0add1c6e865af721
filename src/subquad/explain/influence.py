"""How much each position of a sequence decides what a network says of it: gradients at the first layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from subquad.nn.mode import evaluating


def gradients_at(network: nn.Module, embed: nn.Module, score: Callable[[], Tensor]) -> Tensor:
    """Return d score / d vector of each position, at what the first layer makes of the input.

    Args:
        network: Used in evaluation mode, and left as it is, without gradients in its parameters.
        embed: The first layer, which is called once: its output is (batch, n, dim).
        score: Calls the network, and returns a number for each sample, (batch,), which depends on that
            sample alone.

    Returns:
        (batch, n, dim). Exactly zero where the network does not look, such as at padding.
    """
    vectors: list[Tensor] = []

    def begin_here(module: nn.Module, arguments: object, output: Tensor) -> Tensor:
        vectors.append(output.detach().requires_grad_())
        return vectors[-1]

    handle = embed.register_forward_hook(begin_here)
    try:
        with evaluating(network), torch.inference_mode(False), torch.enable_grad():
            total = score().sum()
            (found,) = torch.autograd.grad(total, vectors[:1], allow_unused=True)
    finally:
        handle.remove()
    return torch.zeros_like(vectors[0]) if found is None else found


def influences(gradients: Tensor) -> Tensor:
    """Return how much each position decides: the length of its gradient, (batch, n).

    Args:
        gradients: Of `gradients_at`.
    """
    return torch.linalg.vector_norm(gradients.float(), dim=2)


def shares_of(values: Tensor) -> list[float]:
    """Return shares that sum to one, of numbers that are at least 0; all zero if they are.

    Args:
        values: (n,).
    """
    values = values.double()
    return (values / values.sum().clamp_min(1e-300)).tolist()


def largest_of_groups(values: Sequence[float], most: int) -> tuple[list[float], list[float]]:
    """Return at most so many points: the middle and the largest value of groups of neighbours.

    Args:
        values: One a position.
        most: Points, at least 1.
    """
    groups = min(most, len(values))
    cuts = [group * len(values) // groups for group in range(groups + 1)] if groups else [0]
    spans = list(pairwise(cuts))
    return [(start + end - 1) / 2 for start, end in spans], [max(values[start:end]) for start, end in spans]


def strongest_window(values: Sequence[float], width: int) -> slice:
    """Return where the neighbours are that have the largest sum, the first of equal ones.

    Args:
        values: One a position, at least 0.
        width: How many.
    """
    if len(values) <= width:
        return slice(0, len(values))
    total = best = sum(values[:width])
    begin = 0
    for start in range(1, len(values) - width + 1):
        total += values[start + width - 1] - values[start - 1]
        if total > best * (1 + 1e-9):
            best, begin = total, start
    return slice(begin, begin + width)


def whole_pieces(texts: Sequence[str], shares: Sequence[float]) -> list[tuple[str, float]]:
    """Return texts with their shares, where a text of nothing waits for the next one.

    A letter of several bytes is known with its last; it then has the shares of all of them.

    Args:
        texts: What each position adds to the text.
        shares: One a position.
    """
    found, waiting = [], []
    for text, share in zip(texts, shares, strict=True):
        waiting.append(share)
        if text:
            found.append((text, sum(waiting)))
            waiting = []
    return [*found, ("\N{REPLACEMENT CHARACTER}", sum(waiting))] if waiting else found
