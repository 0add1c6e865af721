"""Accuracies and confusion against plain counts, whatever the batches."""

import json

import pytest
import torch
from torch.nn import functional as F

from subquad.tasks.classification.scores import ClassificationCounts


def counted(logits, labels, size):
    counts = ClassificationCounts(logits.shape[1])
    for first in range(0, len(labels), size):
        part = slice(first, first + size)
        counts.update(logits[part], labels[part], F.cross_entropy(logits[part], labels[part]))
    return counts.scores()


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(8, (101,), generator=generator) % 7  # of eight classes one has no picture
    logits = torch.randn(101, 8, generator=generator) + 2 * F.one_hot(labels, 8)
    return logits, labels


def test_accuracies_are_plain_counts(outputs):
    logits, labels = outputs
    ranked = [sorted(range(8), key=lambda c, row=row: -row[c]) for row in logits.tolist()]
    scores = counted(logits, labels, 10)
    assert scores.count == 101
    assert scores.top1 == sum(r[0] == t for r, t in zip(ranked, labels.tolist(), strict=True)) / 101
    assert scores.top5 == sum(t in r[:5] for r, t in zip(ranked, labels.tolist(), strict=True)) / 101
    assert 0 < scores.top1 < scores.top5 < 1
    assert scores.loss == pytest.approx(float(F.cross_entropy(logits, labels)))


def test_rows_of_the_confusion_are_true_classes(outputs):
    logits, labels = outputs
    told = logits.argmax(1)
    scores = counted(logits, labels, 7)
    for true in range(8):
        for other in range(8):
            assert scores.confusion[true][other] == int(((labels == true) & (told == other)).sum())
    for number, one in enumerate(scores.classes):
        row, column = scores.confusion[number], [line[number] for line in scores.confusion]
        assert one.count == sum(row)
        assert one.recall == (row[number] / sum(row) if sum(row) else None)
        assert one.precision == (column[number] / sum(column) if sum(column) else None)
    assert scores.classes[7].recall is None and json.dumps(scores.to_json())


def test_batches_do_not_matter(outputs):
    one, other = (counted(*outputs, size) for size in (1, 101))
    for name in ("top1", "top5", "f1", "confusion", "classes"):
        assert getattr(one, name) == getattr(other, name)
    assert one.loss == pytest.approx(other.loss)


def test_five_of_five_classes_say_nothing():
    scores = counted(torch.eye(5), torch.arange(5), 5)
    assert (scores.top1, scores.top5) == (1, None)
    assert ("top-5 accuracy", "n/a") in scores.tables()[0].rows


def test_the_confusion_of_many_classes_is_not_printed():
    for classes, tables in ((20, 3), (21, 2)):
        assert len(counted(torch.eye(classes), torch.arange(classes), 5).tables()) == tables
