"""The plain way: each decomposition as one writes it down from the paper, an opponent for ours.

One line for each formula, codes (batch, positions, rank) as the formulas have them, everything that an
iteration needs computed in it, no graph around the loop (the one-step gradient). Same numbers as
`subquad.ops.decompose` for data of ordinary scale.

References:
    Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021, section 2 and appendix.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Plain = Callable[..., tuple[Tensor, Tensor]]  # (x, bases, steps) -> bases, codes


def plain_nmf(x: Tensor, bases: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Non-negative matrix factorisation by multiplicative updates.

    Args:
        x: (batch, dim, positions), not negative.
        bases: Where to start, (batch, dim, rank).
        steps: Iterations; one more update of the codes follows.

    Returns:
        Bases (batch, dim, rank) and codes (batch, positions, rank).
    """
    with torch.no_grad():
        codes = torch.bmm(x.mT, bases).softmax(dim=-1)
        for _ in range(steps):
            codes = _nmf_codes(x, bases, codes)
            bases = bases * torch.bmm(x, codes) / (bases.bmm(codes.mT.bmm(codes)) + 1e-6)
    return bases, _nmf_codes(x, bases, codes)


def _nmf_codes(x: Tensor, bases: Tensor, codes: Tensor) -> Tensor:
    return codes * torch.bmm(x.mT, bases) / (codes.bmm(bases.mT.bmm(bases)) + 1e-6)


def plain_vq(x: Tensor, bases: Tensor, steps: int, temperature: float = 0.01) -> tuple[Tensor, Tensor]:
    """Vector quantisation: soft k-means under cosine similarity; see `plain_nmf`."""
    with torch.no_grad():
        for _ in range(steps):
            codes = _assigned(x, F.normalize(bases, dim=1, eps=1e-6), temperature)
            bases = torch.bmm(x, codes)
        bases_1, length = F.normalize(bases, dim=1, eps=1e-6), x.norm(dim=1, keepdim=True)
    return bases, (torch.bmm((x / (length + 1e-6)).mT, bases_1) / temperature).softmax(dim=-1)


def plain_cd(x: Tensor, bases: Tensor, steps: int, temperature: float = 0.01) -> tuple[Tensor, Tensor]:
    """Concept decomposition: spherical k-means, then ridge regression; see `plain_nmf`."""
    with torch.no_grad():
        for _ in range(steps):
            codes = _assigned(x, bases, temperature)
            bases = F.normalize(torch.bmm(x, codes), dim=1, eps=1e-6)
        gram = bases.mT.bmm(bases) + 0.1 * torch.eye(bases.shape[2], dtype=x.dtype, device=x.device)
    return bases, torch.bmm(torch.bmm(x.mT, bases), torch.inverse(gram))


def _assigned(x: Tensor, bases: Tensor, temperature: float) -> Tensor:
    codes = (torch.bmm(F.normalize(x, dim=1).mT, bases) / temperature).softmax(dim=-1)
    return codes / (1e-6 + codes.sum(dim=1, keepdim=True))


PLAIN: dict[str, Plain] = {"NMF": plain_nmf, "VQ": plain_vq, "CD": plain_cd}


def plain_ham(x: Tensor, bases: Tensor, solver: Plain, steps: int) -> Tensor:
    """Return the reconstruction of feature maps, as `subquad.nn.Ham` does.

    Args:
        x: (batch, dim, height, width).
        bases: Where to start, (batch, dim, rank).
        solver: One of `PLAIN`.
        steps: Iterations.
    """
    bases, codes = solver(x.flatten(2), bases, steps)
    return torch.bmm(bases, codes.mT).reshape(x.shape)
