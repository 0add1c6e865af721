"""The paired bootstrap: as a loop over resampled images gives it, and right in 95 of 100 cases."""

import numpy as np
import pytest

from subquad.engine import bootstrap
from subquad.engine.bootstrap import REPEATS, Difference, paired_bootstrap
from subquad.engine.sample_counts import SampleCounts, score


def margins_of(matrices):
    names = list(map(str, range(len(matrices))))
    classes = list(map(str, range(matrices.shape[1])))
    return SampleCounts.of_matrices("mean IoU", classes, names, len(names), list(matrices)).margins()


def images(rng, count, skill, pixels=200):
    """Confusions of images that differ in how hard they are; truth is drawn alike for any skill."""
    hard = rng.uniform(0, 0.3, count)
    true = rng.multinomial(pixels, [0.6, 0.3, 0.1], size=count)
    found = np.zeros((count, 3, 3), np.int64)
    for image in range(count):
        for label in range(3):
            shares = np.full(3, (1 - skill + hard[image]) / 3)
            shares[label] += skill - hard[image]
            found[image, label] = rng.multinomial(true[image, label], shares / shares.sum())
    return found


def test_it_is_what_a_loop_over_drawn_images_gives():
    rng = np.random.default_rng(0)
    first, second = images(rng, 12, 0.6), images(rng, 12, 0.7)
    found = paired_bootstrap("mean IoU", margins_of(first), margins_of(second), repeats=50, seed=3)
    drawn = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), size=50)
    differences = []
    for times in drawn:
        taken = np.repeat(np.arange(12), times)  # the images of this draw, one by one, the same for both
        ious = []
        for matrices in (second, first):
            total = np.zeros((3, 3))
            for image in taken:
                total += matrices[image]
            right = total.diagonal()
            ious.append((right / (total.sum(0) + total.sum(1) - right)).mean())
        differences.append(ious[0] - ious[1])
    assert (found.low, found.high) == pytest.approx(np.quantile(differences, (0.025, 0.975)), abs=1e-12)
    expected = score("mean IoU", margins_of(second).sum(0)) - score("mean IoU", margins_of(first).sum(0))
    assert found.value == pytest.approx(expected, abs=1e-12) and found.samples == 12


def test_equal_runs_differ_by_nothing():
    margins = margins_of(images(np.random.default_rng(1), 30, 0.6))
    found = paired_bootstrap("mean IoU", margins, margins.copy())
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1) and not found.is_real


def test_a_large_difference_is_real_in_either_direction():
    rng = np.random.default_rng(2)
    worse, better = margins_of(images(rng, 40, 0.5)), margins_of(images(rng, 40, 0.8))
    up, down = paired_bootstrap("mean IoU", worse, better), paired_bootstrap("mean IoU", better, worse)
    assert up.is_real and up.value > 0 and up.low > 0 and up.p == pytest.approx(2 / 2001)
    assert down.is_real and (down.value, down.low) == pytest.approx((-up.value, -up.high))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Two networks of known skill: of many evaluations 95 of 100 intervals hold their true difference."""
    rng = np.random.default_rng(4)
    first, second = (margins_of(images(rng, 4000, skill)) for skill in (0.60, 0.62))
    true = score("mean IoU", second.sum(0)) - score("mean IoU", first.sum(0))
    held = real = 0
    for start in range(0, 4000, 40):
        part = slice(start, start + 40)
        found = paired_bootstrap("mean IoU", first[part], second[part], repeats=300)
        held += found.low <= true <= found.high
        real += found.is_real
    assert 88 <= held <= 99, "of 100"
    assert real < 100, "else the truth is too easy to test anything"


def test_nothing_is_called_real_that_is_chance():
    rng = np.random.default_rng(5)
    first, second = (margins_of(images(rng, 4000, 0.6)) for _ in range(2))
    parts = [slice(start, start + 40) for start in range(0, 4000, 40)]
    real = sum(paired_bootstrap("mean IoU", first[p], second[p], repeats=300).is_real for p in parts)
    assert real <= 12, "of 100, where 5 are expected"


def test_a_rare_class_is_not_lost_by_one_pixel():
    """One image of twenty shows it, and one pixel of another is said to be of it by the second network."""
    first = np.zeros((20, 3, 3), np.int64)
    first[:, 0, 0] = first[:, 1, 1] = 100
    first[0, 2, 2] = 100
    second = first.copy()
    second[5, 0, 0], second[5, 0, 2] = 99, 1
    found = paired_bootstrap("mean IoU", margins_of(first), margins_of(second))
    assert -0.05 < found.low <= found.value < 0 and found.high == 0


def test_a_class_that_nothing_shows_has_no_part():
    first = np.zeros((10, 3, 3), np.int64)
    first[:, 0, 0] = first[:, 1, 1] = 100
    second = first.copy()
    second[3, 0, 0], second[3, 0, 2] = 99, 1
    found = paired_bootstrap("mean IoU", margins_of(first), margins_of(second))
    assert found.value == pytest.approx(-0.0005) and found.low <= found.value <= found.high == 0


def test_few_draws_at_once_are_the_same_draws(monkeypatch):
    rng = np.random.default_rng(6)
    first, second = margins_of(images(rng, 12, 0.6)), margins_of(images(rng, 12, 0.7))
    whole = paired_bootstrap("mean IoU", first, second, repeats=50)
    monkeypatch.setattr(bootstrap, "DRAWN_AT_ONCE", 12 * 7)
    assert paired_bootstrap("mean IoU", first, second, repeats=50) == whole


def test_p_has_a_least_value_that_is_told_as_a_bound():
    assert Difference(1.0, 0.5, 1.5, 2 / (REPEATS + 1), 40).p_words == "p <= 0.001"
    assert Difference(1.0, 0.5, 1.5, 4 / (REPEATS + 1), 40).p_words == "p = 0.0020"


def test_draws_without_truth_are_left_out():
    matrices = np.zeros((3, 3, 3), np.int64)
    nothing = paired_bootstrap("mean IoU", margins_of(matrices), margins_of(matrices))
    assert nothing.p == 1 and not nothing.is_real
    matrices[0] = np.eye(3)
    found = paired_bootstrap("mean IoU", margins_of(matrices), margins_of(matrices))
    assert (found.low, found.high, found.p) == (0, 0, 1)
