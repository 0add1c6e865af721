"""Counts of each sample: they add up to the scores of the whole, and files of them are read with care."""

import numpy as np
import pytest
import torch

from subquad.engine import sample_counts
from subquad.engine.sample_counts import SampleCounts, class_scores, load_counts, score, spread
from subquad.tasks.segmentation.confusion import ConfusionMatrix

CLASSES = ("road", "sky", "<b>car</b>")


def counts_of(matrices, metric="mean IoU"):
    names = [f"image {n}" for n in range(len(matrices))]
    return SampleCounts.of_matrices(metric, CLASSES, names, 10, matrices)


@pytest.fixture
def matrices():
    return np.random.default_rng(0).integers(0, 50, (5, 3, 3)) * (np.arange(45).reshape(5, 3, 3) % 4 > 0)


def test_counts_are_those_that_came_in(matrices):
    counts = counts_of(matrices)
    assert np.array_equal(counts.confusion(), matrices.sum(axis=0))
    right, true, told = np.moveaxis(counts.margins(), 1, 0)
    assert np.array_equal(right, np.stack([m.diagonal() for m in matrices]))
    assert np.array_equal(true, matrices.sum(axis=2)) and np.array_equal(told, matrices.sum(axis=1))
    assert len(counts.counts) == np.count_nonzero(matrices), "only what is not zero is kept"


def test_scores_are_those_of_the_confusion_matrix(matrices):
    matrices[:, 2] = matrices[:, :, 2] = 0  # a class that never occurs has no part in the mean
    whole = ConfusionMatrix(3)
    whole.counts = torch.from_numpy(matrices.sum(axis=0))
    counts = counts_of(matrices)
    assert counts.score() == pytest.approx(whole.scores().mean_iou, abs=1e-12)
    found = class_scores("mean IoU", counts.margins().sum(axis=0))
    assert np.allclose(found, whole.scores().iou.numpy(), equal_nan=True) and np.isnan(found[2])


def test_accuracy_is_the_share_that_is_right():
    counts = counts_of([np.eye(3), np.eye(3)[[1, 0, 2]]], "accuracy")
    assert counts.score() == pytest.approx(4 / 6)
    assert class_scores("accuracy", counts.margins().sum(axis=0)) == pytest.approx([0.5, 0.5, 1])


def test_a_sample_without_truth_has_no_score():
    scores = counts_of([np.eye(3), np.zeros((3, 3))]).sample_scores()
    assert scores[0] == 1 and np.isnan(scores[1])


def test_scores_of_many_at_once(matrices):
    margins = counts_of(matrices).margins()
    assert score("mean IoU", margins) == pytest.approx([score("mean IoU", one) for one in margins])


def test_a_file_gives_back_what_was_saved(matrices, tmp_path):
    counts = counts_of(matrices).of_weights("abc", "4 samples, 1f")
    counts.save(tmp_path / "evaluation.npz")
    read = load_counts(tmp_path / "evaluation.npz")
    assert (read.metric, read.classes, read.samples, read.of) == ("mean IoU", CLASSES, counts.samples, 10)
    assert (read.weights, read.data) == ("abc", "4 samples, 1f")
    assert np.array_equal(read.margins(), counts.margins())


def broken(path, kind):
    counts = counts_of([np.eye(3)])
    if kind == "no zip":
        path.write_bytes(b"not a zip")
    elif kind == "cut off":
        counts.save(path)
        path.write_bytes(path.read_bytes()[:-30])
    elif kind == "pickles":
        np.savez(path, metric=np.array([{}], dtype=object))
    elif kind == "no counts":
        np.savez(path, metric=np.array("mean IoU"))
    else:
        changed = {
            "beyond the classes": {"entries": counts.entries + 5},
            "below zero": {"counts": -counts.counts},
            "floats": {"counts": counts.counts / 2},
            "lengths": {"counts": counts.counts[1:]},
            "metric": {"metric": "fame"},
        }[kind]
        SampleCounts(**{**vars(counts), **changed}).save(path)


@pytest.mark.parametrize(
    "kind",
    [
        "no zip",
        "cut off",
        "pickles",
        "no counts",
        "beyond the classes",
        "below zero",
        "floats",
        "lengths",
        "metric",
    ],
)
def test_what_is_no_such_file_is_refused(kind, tmp_path):
    broken(tmp_path / "evaluation.npz", kind)
    with pytest.raises((ValueError, OSError)):
        load_counts(tmp_path / "evaluation.npz")


def test_whatever_byte_is_damaged_it_is_one_sentence(tmp_path):
    path = tmp_path / "evaluation.npz"
    counts_of([np.eye(3)] * 3).save(path)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            load_counts(path)
        except ValueError as error:
            refused += 1
            assert "holds no counts of an evaluation" in str(error) and "\n" not in str(error)
    assert refused > len(whole) // 20


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    counts_of([np.eye(3)] * 1000).save(tmp_path / "evaluation.npz")
    size = (tmp_path / "evaluation.npz").stat().st_size
    monkeypatch.setattr(sample_counts, "LARGEST_COUNTS", 2 * size)
    with pytest.raises(ValueError, match="unpacks to more than"):
        load_counts(tmp_path / "evaluation.npz")


@pytest.mark.parametrize(("length", "most", "expected"), [(3, 5, [0, 1, 2]), (10, 3, [0, 3, 6]), (0, 5, [])])
def test_a_part_is_spread_evenly(length, most, expected):
    assert spread(length, most) == expected
