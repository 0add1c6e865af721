"""An end of training when nothing is gained: counted over evaluations, kept when a run goes on."""

import math
from types import SimpleNamespace

import pytest

from subquad.engine.learner import Learner
from subquad.engine.patience import Patience


class Fake(Learner):
    def __init__(self):
        pass

    loss_of = outputs_of = None


def evaluated(patience, scores, sanity=False):
    """Return after how many evaluations training ends; None if it goes on."""
    trainer, learner = SimpleNamespace(sanity_checking=sanity, should_stop=False, global_step=7), Fake()
    for count, score in enumerate(scores, 1):
        object.__setattr__(learner, "score", score)
        patience.on_validation_end(trainer, learner)
        if trainer.should_stop:
            return count
    return None


@pytest.mark.parametrize(
    ("scores", "end"),
    [
        ([0.1, 0.2, 0.3, 0.4], None),
        ([0.3, 0.2, 0.1], 3),
        ([0.3, 0.3, 0.3], 3),  # equal is not better
        ([0.3, 0.2, 0.4, 0.1, 0.2], 5),
        ([0.3, math.nan, math.nan, None, 0.2], None),  # what was not scored says nothing
    ],
)
def test_so_many_in_a_row(scores, end, capsys):
    assert evaluated(Patience(2), scores) == end
    assert ("training ends at step 7" in capsys.readouterr().out) == (end is not None)


def test_a_trial_before_training_does_not_count():
    assert evaluated(Patience(1), [0.2, 0.1, 0.0], sanity=True) is None


def test_a_run_that_goes_on_has_waited_before():
    first, second = Patience(2), Patience(2)
    assert evaluated(first, [0.3, 0.2]) is None
    second.load_state_dict(first.state_dict())
    assert evaluated(second, [0.25]) == 1


def test_no_patience_is_refused():
    with pytest.raises(ValueError, match="--patience is a number of evaluations, 1 or more; got 0"):
        Patience(0)


@pytest.mark.parametrize(("waited", "ends"), [(1, False), (2, True), (3, True)])
def test_a_run_that_had_ended_trains_no_more(waited, ends):
    patience, trainer = Patience(2), SimpleNamespace(should_stop=False)
    patience.load_state_dict({"best": 0.3, "waited": waited})
    patience.on_train_start(trainer, Fake())
    assert trainer.should_stop == ends
