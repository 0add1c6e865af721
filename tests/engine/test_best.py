"""Which evaluation chooses the weights that are written, and what an evaluation says of single classes."""

import math
from types import SimpleNamespace

import pytest
import torch

from subquad import create_model, load_model
from subquad.engine.best import SaveBest
from subquad.engine.tables import best_sentence
from subquad.tasks.segmentation.class_report import MOST_CLASSES, ClassReport, class_lines, remedy
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.learner import SegmentationLearner
from subquad.tasks.sequences.learner import SequenceLearner


def task():
    return SequenceLearner(create_model("paramixer_text", length=8, dim=4, hidden=4, depth=1))


class Run:
    """What callbacks ask a trainer for."""

    def __init__(self, steps=100):
        self.sanity_checking, self.is_global_zero, self.global_step = False, True, 0
        self.estimated_stepping_batches, self.said = steps, []

    def print(self, text):
        self.said.append(text)


def evaluated(saver, network_task, scores, run=None):
    """Return the number of the evaluation whose weights are in the file."""
    run = run or Run()
    weight = next(iter(network_task.network.parameters()))
    for score in scores:
        run.global_step += 1
        network_task.score = score
        with torch.no_grad():
            weight.fill_(run.global_step)
        saver.on_validation_end(run, network_task)
    return int(next(iter(load_model(saver.path).parameters())).flatten()[0])


@pytest.mark.parametrize(
    ("scores", "winner", "value"),
    [
        ([0.5, 0.7, 0.6], 2, "70.00 %"),
        ([0.5, 0.5, 0.5], 1, "50.00 %"),  # the first of equal ones
        ([0.0, 0.0], 1, "0.00 %"),
        ([math.nan, math.nan], 2, None),  # nothing labelled: the newest
        ([math.nan, 0.1, math.nan], 2, "10.00 %"),
        ([0.1, math.nan, 0.05], 1, "10.00 %"),
    ],
)
def test_the_best_score_wins_and_is_named(scores, winner, value, tmp_path):
    saver, network_task = SaveBest(tmp_path), task()
    assert evaluated(saver, network_task, scores) == winner
    assert (network_task.best.step, network_task.best.value) == (winner, value)
    said = best_sentence(network_task, saver.path)
    if value is None:
        assert said == f"weights of the newest evaluation, at step 2, as none could be scored: {saver.path}"
    else:
        expected = (
            f"weights with the best accuracy of all evaluations, {value} at step {winner}: {saver.path}"
        )
        assert said == expected


def test_a_resumed_run_knows_what_chose(tmp_path):
    saver, again, later = SaveBest(tmp_path), SaveBest(tmp_path), task()
    evaluated(saver, task(), [0.5, 0.7])
    again.load_state_dict(saver.state_dict())
    again.on_fit_start(Run(), later)
    assert later.best == saver.found and later.best.step == 2
    run = Run()
    run.global_step = 2
    assert evaluated(again, later, [0.7, 0.6], run) == 2, "an equal score after resuming, too"
    again.load_state_dict({"best": 0.7})  # of a run from before it was said
    again.on_fit_start(Run(), later)
    assert best_sentence(later, "x") == "weights with the best accuracy of all evaluations: x"


def test_weights_that_are_not_finite_never_win(tmp_path):
    saver, network_task = SaveBest(tmp_path), task()
    evaluated(saver, network_task, [0.5])
    network_task.score = 0.9
    with torch.no_grad():
        next(iter(network_task.network.parameters())).fill_(torch.nan)
    before = saver.path.read_bytes()
    with pytest.raises(ValueError, match="training became NaN"):
        saver.on_validation_end(Run(), network_task)
    assert saver.path.read_bytes() == before and saver.best == 0.5


def test_the_score_of_a_regression_is_its_error():
    regression = SequenceLearner(create_model("paramixer_adding", length=8, dim=4, hidden=4, depth=1))
    regression.score = -0.125
    assert (regression.score_words, regression.score_text) == ("RMSE", "0.125")


def scores_of(counts, names=()):
    matrix = ConfusionMatrix(len(counts), names=names)
    matrix.counts = torch.tensor(counts)
    return matrix.scores()


def test_a_class_that_stays_at_zero_is_said_once_with_a_remedy():
    options = {"backbone": "conv_tiny", "ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3}
    names = ("road", "sky", "lamp")
    network_task = SegmentationLearner(create_model("light_ham_van_tiny_d256", class_names=names, **options))
    report, run = ClassReport(), Run(steps=10)
    found = [[5, 0, 0], [0, 5, 0], [0, 1, 4]]
    without = [[5, 0, 0], [0, 5, 0], [5, 0, 0]]
    for number, counts in enumerate([without, found, *[without] * 7], start=1):
        run.global_step = number
        network_task.scores = scores_of(counts, names)
        report.on_validation_end(run, network_task)
        if number == 6:
            report.load_state_dict(report.state_dict())
    tables = [text for text in run.said if text.startswith("  IoU %")]
    assert tables[0] == "  IoU %: road 50.0, sky 100.0, lamp 0.0" and len(tables) == 9
    (told,) = (text for text in run.said if not text.startswith("  IoU %"))
    assert told.startswith("step 5: no pixel of 'lamp' was found in 3 evaluations")
    for word in ("--class_weights", "--data.crop", "--optimizer.lr", "more steps"):
        assert word in told
    assert "--class_weights" not in remedy(["lamp"], 5, is_weighed=True)


def test_a_class_at_zero_is_a_beginning_at_first():
    report, run = ClassReport(), Run(steps=100)
    config = SimpleNamespace(class_names=("a", "b"), num_classes=2)
    stand_in = object.__new__(SegmentationLearner)
    stand_in.__dict__.update(config=config, scores=scores_of([[1, 0], [1, 0]], ("a", "b")))
    for run.global_step in (5, 10, 20, 30):
        report.on_validation_end(run, stand_in)
    assert all(text.startswith("  IoU %") for text in run.said)
    run.global_step = 40
    report.on_validation_end(run, stand_in)
    assert run.said[-1].startswith("step 40: no pixel of 'b'")


def test_many_classes_are_the_lowest_ones_in_a_few_lines():
    counts = torch.eye(150, dtype=torch.int64) * 4
    counts[7, 7], counts[7, 8] = 0, 4
    names = [f"class {number} of a rather long name that no line could hold" for number in range(150)]
    lines = class_lines(scores_of(counts.tolist(), names)).splitlines()
    assert len(lines) <= 8 and max(map(len, lines)) <= 100
    assert lines[0].startswith(f"  IoU %, the {MOST_CLASSES} lowest of 150 classes: class 7 of")
    assert " 0.0," in lines[0] and " 50.0," in " ".join(lines)
    assert class_lines(scores_of([[0, 0], [0, 0]], ("a", "b"))) == "  IoU %: no class occurs"
