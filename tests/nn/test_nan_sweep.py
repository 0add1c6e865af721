"""A sample of the sweep in `experiments/reliability`: nothing is NaN or infinite."""

import random

import pytest

from nan_sweep import combinations, not_finite

SAMPLE = random.Random(0).sample(combinations(), 120)


def test_the_sweep_is_as_large_as_the_report_says():
    assert len(combinations()) == len(set(combinations())) == 17_388


@pytest.mark.parametrize("start", range(0, len(SAMPLE), 30))
def test_a_sample_is_finite(start):
    found = {combination: not_finite(combination) for combination in SAMPLE[start : start + 30]}
    assert not {combination: names for combination, names in found.items() if names}
