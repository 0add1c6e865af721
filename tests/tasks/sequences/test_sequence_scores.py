"""Scores of sequences against scikit-learn, and sums that add up over batches and processes."""

import math

import pytest
import torch
from sklearn import metrics

from subquad.tasks.sequences import scores as sequence_scores
from subquad.tasks.sequences.scores import SequenceSums

NO_LOSS = torch.zeros(())


def scores_of_classes(logits, targets, **told):
    sums = SequenceSums(logits.shape[1])
    sums.update(logits, targets, NO_LOSS)
    return sums.scores(**told)


def scores_of_values(told, true, center=0.0, batches=1):
    sums = SequenceSums(None, center)
    for some, answers in zip(told.chunk(batches), true.chunk(batches), strict=True):
        sums.update(some.unsqueeze(1), answers, (some - answers).square().mean())
    return sums.scores()


def test_classes_are_scored_as_scikit_learn_does():
    logits, targets = torch.randn(200, 4), torch.randint(4, (200,))
    scores = scores_of_classes(logits, targets, names=("a", "b", "c", "d"))
    told = logits.argmax(1)
    expected = metrics.precision_recall_fscore_support(targets, told)
    for index, found in enumerate(scores.classes):
        values = found.precision, found.recall, found.f1, found.count
        assert values == pytest.approx([column[index] for column in expected])
    assert [found.name for found in scores.classes] == ["a", "b", "c", "d"]
    assert scores.f1 == pytest.approx(metrics.f1_score(targets, told, average="macro"))
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(targets, told))


def test_what_cannot_be_divided_is_none():
    logits = torch.tensor([[2.0, 1.0, 0.0, 0.0], [2.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    scores = scores_of_classes(logits, torch.tensor([0, 2, 0]))
    never_true, never_told, neither = scores.classes[1:]
    assert (never_true.precision, never_true.recall, never_true.f1) == (0.0, None, 0.0)
    assert (never_told.precision, never_told.recall, never_told.f1) == (None, 0.0, 0.0)
    assert (neither.precision, neither.recall, neither.f1) == (None, None, None)
    assert scores.f1 == pytest.approx((2 / 4 + 0 + 0) / 3)  # without the one that never occurs


def test_values_are_scored_as_scikit_learn_does():
    true = torch.randn(101, dtype=torch.float64) * 30 + 1000
    told = true + torch.randn(101)
    scores = scores_of_values(told, true, center=990.0, batches=7)
    assert scores.mae == pytest.approx(metrics.mean_absolute_error(true, told))
    assert scores.rmse == pytest.approx(math.sqrt(metrics.mean_squared_error(true, told)))
    assert scores.r2 == pytest.approx(metrics.r2_score(true, told))
    assert (scores.f1, scores.classes, scores.roc_auc) == (None, (), None)


def test_r2_of_a_large_mean_needs_the_center():
    true = 1e8 + torch.arange(5, dtype=torch.float64) * 1e-3
    scores = scores_of_values(true + 1e-4, true, center=1e8)
    assert scores.r2 == pytest.approx(1 - 1e-8 / 2e-6, rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 3.7])
def test_values_that_do_not_differ_have_no_r2(value):
    true = torch.full((9,), value)
    assert scores_of_values(true + 1, true, center=value + 0.1).r2 is None


def test_the_mean_of_the_true_values_has_r2_of_zero():
    true = torch.randn(50, dtype=torch.float64)
    assert scores_of_values(true.mean().expand(50), true).r2 == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("classes", [None, 3])
def test_two_processes_score_as_one(classes, monkeypatch):
    outputs = torch.randn(20, classes or 1)
    targets = torch.randn(20) if classes is None else torch.randint(classes, (20,))
    whole, here, there = (SequenceSums(classes) for _ in range(3))
    whole.update(outputs, targets, outputs.mean())
    for sums, part in ((here, slice(0, 13)), (there, slice(13, 20))):
        sums.update(outputs[part], targets[part], outputs[part].mean())
    others = iter((there.sums, there.classes))
    monkeypatch.setattr(sequence_scores, "sum_over_processes", lambda mine: mine.add_(next(others)))
    here.sum_over_processes(torch.device("cpu"))
    one, two = whole.scores(), here.scores()
    assert two.count == one.count == 20
    assert (two.accuracy, two.f1, two.classes) == (one.accuracy, one.f1, one.classes)
    if classes is None:
        assert [two.mae, two.rmse, two.r2] == pytest.approx([one.mae, one.rmse, one.r2])
