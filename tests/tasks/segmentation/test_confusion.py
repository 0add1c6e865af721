"""Every score against a count by hand, however the pixels arrive."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subquad.tasks.segmentation.confusion import ConfusionMatrix, mean_iou_of
from subquad.tasks.segmentation.data.labels import Sample

IGNORED = 255


@st.composite
def problems(draw):
    """Return (classes, truth, prediction): some pixels ignored, most classes absent now and then."""
    classes = draw(st.integers(1, 6))
    occurring = st.sampled_from(sorted(draw(st.sets(st.integers(0, classes - 1), min_size=1))))
    pairs = draw(st.lists(st.tuples(occurring | st.just(IGNORED), st.integers(0, classes - 1)), max_size=40))
    truth, prediction = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return classes, truth, prediction


def counted(classes, truth, prediction, dtype=torch.int64):
    matrix = ConfusionMatrix(classes)
    matrix.update(torch.from_numpy(prediction).to(dtype), torch.from_numpy(truth).to(dtype))
    return matrix


def count_by_hand(classes, truth, prediction):
    counts = [[0] * classes for _ in range(classes)]
    for t, p in zip(truth.tolist(), prediction.tolist(), strict=True):
        if t != IGNORED:
            counts[t][p] += 1
    return counts


def same(actual, expected):
    """Say whether two lists of floats agree, NaN with NaN."""
    return actual == pytest.approx(expected, rel=1e-12, nan_ok=True)


@given(problems(), st.sampled_from([torch.uint8, torch.int32, torch.int64]))
def test_scores_are_those_of_sets_of_pixels(problem, dtype):
    classes, truth, prediction = problem
    matrix = counted(*problem, dtype)
    assert matrix.counts.dtype == torch.int64
    assert matrix.counts.tolist() == count_by_hand(*problem)
    iou, accuracy, pixels = [], [], []
    labelled = {i for i, t in enumerate(truth) if t != IGNORED}
    for k in range(classes):
        is_truth = {i for i in labelled if truth[i] == k}
        is_predicted = {i for i in labelled if prediction[i] == k}
        union = is_truth | is_predicted
        iou.append(len(is_truth & is_predicted) / len(union) if union else math.nan)
        accuracy.append(len(is_truth & is_predicted) / len(is_truth) if is_truth else math.nan)
        pixels.append(len(is_truth))
    occurring = [value for value in iou if not math.isnan(value)]
    reached = [value for value in accuracy if not math.isnan(value)]
    right = sum(truth[i] == prediction[i] for i in labelled)
    scores = matrix.scores()
    assert same(scores.iou.tolist(), iou) and same(scores.accuracy.tolist(), accuracy)
    assert scores.pixels.tolist() == pixels and scores.pixels.dtype == torch.int64
    assert same(scores.mean_iou, sum(occurring) / len(occurring) if occurring else math.nan)
    assert same(scores.mean_accuracy, sum(reached) / len(reached) if reached else math.nan)
    assert same(scores.pixel_accuracy, right / len(labelled) if labelled else math.nan)


@given(problems(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_and_any_batches_give_the_same_counts(problem, random, batches):
    classes, truth, prediction = problem
    order = random.sample(range(len(truth)), len(truth))
    cuts = sorted(random.randint(0, len(truth)) for _ in range(batches - 1))
    matrix = ConfusionMatrix(classes)
    for part in np.split(np.array(order, dtype=np.int64), cuts):
        matrix.update(torch.from_numpy(prediction[part]), torch.from_numpy(truth[part]))
    assert torch.equal(matrix.counts, counted(*problem).counts)


@given(problems(), st.integers(0, 255))
def test_what_is_predicted_at_ignored_pixels_does_not_count(problem, anything):
    classes, truth, prediction = problem
    changed = np.where(truth == IGNORED, anything, prediction)
    assert torch.equal(counted(classes, truth, changed).counts, counted(*problem).counts)


@settings(max_examples=30)
@given(problems())
def test_predicting_the_truth_scores_one(problem):
    classes, truth, _ = problem
    scores = counted(classes, truth, np.where(truth == IGNORED, 0, truth)).scores()
    occurs = scores.pixels > 0
    assert (scores.iou[occurs] == 1).all() and scores.iou[~occurs].isnan().all()
    assert not occurs.any() or scores.mean_iou == scores.pixel_accuracy == 1


def test_two_classes_worked_out():
    matrix = ConfusionMatrix(2)
    matrix.update(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, IGNORED]]))
    assert matrix.counts.tolist() == [[1, 0], [1, 1]]  # a row is the truth
    scores = matrix.scores()
    assert scores.iou.tolist() == [1 / 2, 1 / 2] and scores.accuracy.tolist() == [1, 1 / 2]
    assert scores.pixel_accuracy == 2 / 3 and scores.mean_accuracy == 3 / 4


def test_a_class_that_never_occurs_is_not_applicable():
    matrix = ConfusionMatrix(3, names=["sky", "road", "car"])
    matrix.update(torch.tensor([0, 1]), torch.tensor([0, 0]))
    scores = matrix.scores()
    assert scores.mean_iou == 0.25, "classes 0 and 1 occur with IoU 1/2 and 0, class 2 does not"
    assert scores.tables()[0].rows == [
        ("sky", "50.00", "50.00", "2"),
        ("road", "0.00", "n/a", "0"),  # only predicted: wrong wherever it is
        ("car", "n/a", "n/a", "0"),
    ]
    assert [row[0] for row in ConfusionMatrix(3).scores().tables()[0].rows] == ["0", "1", "2"]


def test_without_a_labelled_pixel_nothing_is_applicable():
    matrix = ConfusionMatrix(2)
    matrix.update(torch.tensor([0, 1]), torch.tensor([IGNORED, IGNORED]))
    scores = matrix.scores()
    assert math.isnan(scores.mean_iou) and math.isnan(scores.pixel_accuracy)
    assert {row[1:] for row in scores.tables()[0].rows} == {("n/a", "n/a", "0")}


def test_another_ignored_index():
    matrix = ConfusionMatrix(3, ignore_index=-1)
    matrix.update(torch.tensor([0, 2]), torch.tensor([-1, 2]))
    assert matrix.counts.sum() == matrix.counts[2, 2] == 1


def test_counts_beyond_two_to_the_31():
    matrix = ConfusionMatrix(2)
    assert matrix.counts.dtype == torch.int64, (
        "before the first batch, too: several processes add their counts"
    )
    matrix.counts += torch.tensor([[2**33, 2**32], [0, 2**40]])
    matrix.update(torch.tensor([0], dtype=torch.uint8), torch.tensor([0], dtype=torch.uint8))
    assert matrix.counts.tolist() == [[2**33 + 1, 2**32], [0, 2**40]]
    scores = matrix.scores()
    assert scores.pixels.tolist() == [2**33 + 1 + 2**32, 2**40]
    assert scores.iou[0].item() == pytest.approx((2**33 + 1) / (2**33 + 1 + 2**32), rel=1e-14)
    assert scores.tables()[0].rows[1][3] == "1,099,511,627,776"


def test_reset_forgets():
    matrix = ConfusionMatrix(2)
    matrix.update(torch.tensor([1]), torch.tensor([1]))
    matrix.reset()
    assert matrix.counts.tolist() == [[0, 0], [0, 0]]


def test_one_process_sums_over_itself():
    matrix = ConfusionMatrix(2)
    matrix.update(torch.tensor([1]), torch.tensor([1]))
    matrix.sum_over_processes()
    assert matrix.counts.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        ([[0, 1]], [0, 1], r"prediction \(1, 2\) and truth \(2,\) differ"),
        ([0, 1], [0, 7], r"the truth holds 0..7, but the classes are 0..2 \(255 is ignored\)"),
        ([0, 9], [0, 1], r"the prediction holds 0..9, but the classes are 0..2"),
        ([-1, 0], [0, 1], r"the prediction holds -1..0"),
        ([0, 1], [-1, 1], r"the truth holds -1..1"),
        ([3, 0], [2, 1], r"the prediction holds 0..3"),  # the first value that is no class
    ],
)
def test_errors_quote_what_came_in_and_count_nothing(prediction, truth, message):
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=message):
        matrix.update(torch.tensor(prediction), torch.tensor(truth))
    assert matrix.counts.sum() == 0


def test_at_least_one_class():
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        ConfusionMatrix(0)


def test_names_must_fit():
    with pytest.raises(ValueError, match="names has 2 entries for 3 classes"):
        ConfusionMatrix(3, names=["sky", "road"])


def test_samples_one_by_one_have_the_mean_iou_of_all_their_pixels():
    draw = torch.Generator().manual_seed(0)
    samples = [
        Sample(torch.randint(0, 256, (3, 4, 5), generator=draw, dtype=torch.uint8), labels, "made")
        for labels in torch.randint(0, 3, (4, 4, 5), generator=draw, dtype=torch.uint8)
    ]
    said = {sample.image.sum().item(): sample.labels.flip(0) for sample in samples}
    whole = ConfusionMatrix(3)
    whole.update(
        torch.stack([sample.labels.flip(0) for sample in samples]),
        torch.stack([sample.labels for sample in samples]),
    )
    found = mean_iou_of(lambda image: said[image.sum().item()], samples, 3)
    assert found == whole.scores().mean_iou and 0 < found < 1
