"""Whether the difference of two networks is more than the chance of which samples they were asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subquad.engine.sample_counts import Counts, Numbers, score

REPEATS = 2000
DRAWN_AT_ONCE = 2**22  # numbers: how often each sample is drawn, 32 MiB
FEW = 20  # samples: with fewer, intervals are too short


@dataclass(frozen=True)
class Difference:
    """The score of one network less that of another, on the same samples.

    Attributes:
        value: On all samples.
        low: Of the interval; of 100 such intervals, of other samples, 95 hold the true difference.
        high: The same.
        p: Twice the share of draws in which the difference is zero or of the other sign; at least 2 of so
            many draws and one.
        samples: How many there were.
    """

    value: float
    low: float
    high: float
    p: float
    samples: int

    @property
    def is_real(self) -> bool:
        """Whether it is larger than chance over samples: the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    @property
    def p_words(self) -> str:
        """P as text; the least that `REPEATS` draws can tell is a bound."""
        return "p <= 0.001" if self.p <= 2 / (REPEATS + 1) else f"p = {self.p:.4f}"


def paired_bootstrap(
    metric: str, first: Counts, second: Counts, *, repeats: int = REPEATS, seed: int = 0
) -> Difference:
    """Compare two networks by drawing samples with replacement, the same ones for both.

    What is compared is the score of the whole set, such as the mean IoU of all pixels, not the mean of the
    scores of samples: each draw weighs the counts of each sample by how often it was drawn, a matrix product.
    A class without truth in a draw, or in all samples, has no part in the mean of either: one false pixel of
    it would be a zero for the one network, and nothing for the other.

    Args:
        metric: A key of `METRICS`.
        first: Margins of `SampleCounts`, (samples, 3, classes).
        second: The same of the other, for the same samples.
        repeats: Draws.
        seed: Of the draws.

    Returns:
        The second's score less the first's. Where the two are equal on each sample it is 0 and p is 1.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (the percentile interval).
    """
    samples = len(first)
    generator = np.random.default_rng(seed)
    both = [_flat(margins) for margins in (first, second)]
    parts = []
    for start in range(0, repeats, at_once := max(1, DRAWN_AT_ONCE // samples)):
        count = min(at_once, repeats - start)
        drawn = generator.multinomial(samples, np.full(samples, 1 / samples), size=count).astype(np.float64)
        here, there = (_score(metric, drawn @ flat, first.shape[1:]) for flat in both)
        parts.append(there - here)
    found = np.concatenate(parts)
    found = found[~np.isnan(found)]  # a draw of samples without truth
    here, there = (_score(metric, flat.sum(axis=0), first.shape[1:]) for flat in both)
    whole = float(there - here)
    if not len(found):
        return Difference(whole, float("nan"), float("nan"), 1.0, samples)
    low, high = np.quantile(found, (0.025, 0.975))
    return Difference(whole, float(low), float(high), _two_sided(found), samples)


def _flat(margins: Counts) -> Numbers:
    return margins.reshape(len(margins), -1).astype(np.float64)


def _score(metric: str, flat: Numbers, shape: tuple[int, ...]) -> Numbers:
    """Return scores over the classes that have truth."""
    margins = flat.reshape(*flat.shape[:-1], *shape)
    true = margins[..., 1, :]
    margins[..., 2, :] = np.where(true > 0, margins[..., 2, :], 0)  # never told either: not known
    return score(metric, margins)


def _two_sided(found: Numbers) -> float:
    """Return how rarely a draw is on the other side of zero, twice; the 1 counts the data themselves."""
    sides = ((found <= 0).sum(), (found >= 0).sum())
    return min(1.0, 2 * (1 + int(min(sides))) / (1 + len(found)))
