"""The links of a network's sparse factors, as it makes them for one sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from subquad.nn import LinkNetworks, Paramixer
from subquad.nn.mode import evaluating


@dataclass(frozen=True)
class FactorLinks:
    """The links of one factor.

    Attributes:
        block: Number of its block, from 1 on.
        factor: Number of the factor in its block, from 1 on: the first is applied first.
        offsets: Where each link of a position i leads: to i + offset, around the end.
        links: (n, links), signed, without what the residual adds.
    """

    block: int
    factor: int
    offsets: tuple[int, ...]
    links: Tensor

    @property
    def strengths(self) -> Tensor:
        """Return how strong the link of each offset is, the mean of |link| over the positions, (links,)."""
        return self.links.abs().mean(dim=0)


def links_of(network: nn.Module, run: Callable[[], object]) -> list[FactorLinks]:
    """Return the links of all factors of all Paramixer blocks of a network, in their order.

    Args:
        network: Used in evaluation mode.
        run: Calls it with a single sequence.

    Returns:
        Nothing of a network without such blocks.
    """
    blocks = [module for module in network.modules() if isinstance(module, Paramixer)]
    seen: dict[tuple[int, int], Tensor] = {}
    handles = []
    for number, block in enumerate(blocks):
        handles.append(block.links.register_forward_hook(partial(_keep, seen, number)))
    try:
        with evaluating(network), torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return [
        FactorLinks(number + 1, factor + 1, tuple(blocks[number].offsets[factor]), links)
        for (number, factor), links in sorted(seen.items())
    ]


def _keep(
    seen: dict[tuple[int, int], Tensor],
    number: int,
    module: LinkNetworks,
    arguments: tuple[Tensor, int, int],
    output: list[Tensor],
) -> None:
    for factor, links in enumerate(output, start=arguments[1]):
        seen[number, factor] = links[0].detach().float().cpu()


def averaged(links: Tensor, most: int) -> Tensor:
    """Return |links| as a map for a picture, (links, columns): means of neighbours if there are too many.

    Args:
        links: (n, links).
        most: Columns.
    """
    strengths = links.abs().mT
    if strengths.shape[1] <= most:
        return strengths
    return nn.functional.adaptive_avg_pool1d(strengths.unsqueeze(0), most).squeeze(0)
