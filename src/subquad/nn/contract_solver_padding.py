"""The promise of `check_solver` that padding counts for nothing."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from subquad.nn.contract_report import Check, error_of, worst
from subquad.nn.contract_solver_case import Case
from subquad.ops.solver import Factors

_MORE = 3  # positions of padding beyond the largest sample


def padding(case: Case, tolerance: float) -> Iterator[Check]:
    """Check that each sample of a padded batch is what it is alone, followed by codes of zero."""
    samples, n = len(case.x), case.x.shape[2]
    mixed = [n - (n - 2) * sample // (samples - 1) for sample in range(samples)]
    batches = {
        "samples of mixed sizes": (mixed, n),
        "mixed sizes and more padding": (mixed[::-1], n + _MORE),
        "a mask that is True everywhere": ([n] * samples, n),
    }
    weights = case.weights(n + _MORE)
    values, gradients = dict.fromkeys(batches, 0.0), dict.fromkeys(batches, 0.0)
    for name, (sizes, width) in batches.items():
        padded, mask = _padded(case, sizes, width)
        for grad_steps in (0, case.steps):
            seen = padded.differentiate(weights, grad_steps, mask)
            alone = _apart(case, weights, sizes, width, grad_steps)
            values[name] = max(values[name], error_of(seen[:2], alone[:2]))
            gradients[name] = max(gradients[name], error_of(seen[2:], alone[2:]))
    yield worst("padded equals cropped", values, tolerance)
    yield worst("gradients of padded equal those of cropped", gradients, tolerance)


def _padded(case: Case, sizes: list[int], width: int) -> tuple[Case, Tensor]:
    """Put noise behind the first positions of each sample; also return the mask of these."""
    mask = torch.arange(width) < torch.tensor(sizes).unsqueeze(1)
    noise = 10 * torch.randn(*case.x.shape[:2], width, dtype=case.x.dtype)
    x = noise.to(case.x.device)
    for sample, size in enumerate(sizes):
        x[sample, :, :size] = case.x[sample, :, :size]
    return case._replace(x=x), mask.to(x.device)


def _apart(case: Case, weights: Factors, sizes: list[int], width: int, grad_steps: int) -> list[Tensor]:
    """Return what `Case.differentiate` should of the padded batch: each sample alone, then zeros."""
    parts = []
    for sample, size in enumerate(sizes):
        one = slice(sample, sample + 1)
        alone = case._replace(x=case.x[one, :, :size], dictionary=case.dictionary[one])
        found = alone.differentiate(Factors(*(w[one] for w in weights)), grad_steps)
        dictionary, codes, x, start = found
        more = (0, width - size)
        parts.append((dictionary, F.pad(codes, more), F.pad(x, more), start))
    return [torch.cat(part) for part in zip(*parts, strict=True)]
