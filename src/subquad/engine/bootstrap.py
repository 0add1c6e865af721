"""Whether the difference of two networks is more than the chance of which samples they were asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subquad.engine.sample_counts import Counts, Numbers, score

REPEATS = 2000
FEW = 20  # samples: with fewer, intervals are too short


@dataclass(frozen=True)
class Difference:
    """The score of one network less that of another, on the same samples.

    Attributes:
        value: On all samples.
        low: Of the interval that holds the difference in 95 of 100 such evaluations.
        high: The same.
        p: How often chance alone gives such a difference, were there none; two-sided.
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


def paired_bootstrap(
    metric: str, first: Counts, second: Counts, *, repeats: int = REPEATS, seed: int = 0
) -> Difference:
    """Compare two networks by drawing samples with replacement, the same ones for both.

    What is compared is the score of the whole set, such as the mean IoU of all pixels, not the mean of the
    scores of samples: each draw weighs the counts of each sample by how often it was drawn, a matrix product.

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
    drawn = generator.multinomial(samples, np.full(samples, 1 / samples), size=repeats).astype(np.float64)
    scores = [
        score(metric, (drawn @ margins.reshape(samples, -1)).reshape(repeats, *margins.shape[1:]))
        for margins in (first, second)
    ]
    found = scores[1] - scores[0]
    found = found[~np.isnan(found)]  # a draw of samples without truth
    whole = float(score(metric, second.sum(axis=0)) - score(metric, first.sum(axis=0)))
    if not len(found):
        return Difference(whole, float("nan"), float("nan"), 1.0, samples)
    low, high = np.quantile(found, (0.025, 0.975))
    return Difference(whole, float(low), float(high), _two_sided(found), samples)


def _two_sided(found: Numbers) -> float:
    """Return how rarely a draw is on the other side of zero, twice; the 1 counts the data themselves."""
    sides = ((found <= 0).sum(), (found >= 0).sum())
    return min(1.0, 2 * (1 + int(min(sides))) / (1 + len(found)))
