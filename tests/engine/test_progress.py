"""What a log that is no terminal says while a run trains."""

from types import SimpleNamespace

import pytest

from subquad.engine import callbacks
from subquad.engine.callbacks import PlainProgress


class Log:
    """A trainer of 40 steps that keeps what it prints."""

    global_step, estimated_stepping_batches, is_global_zero = 0, 40, True

    def __init__(self):
        self.lines = []

    def print(self, line):
        self.lines.append(line)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now.seconds)
    return now


def test_it_says_where_training_begins_and_how_far_it_is_when_nothing_else_is_said(clock):
    progress, log, task = PlainProgress(), Log(), SimpleNamespace(device="cpu")
    progress.on_train_start(log, task)
    for step in range(1, 8):
        log.global_step = step
        clock.seconds += 10
        progress.on_train_batch_end(log, task, None, None, step)
    assert log.lines == [
        "training on cpu from step 0/40 on",
        "at step 3/40, left 0:06:10",
        "at step 6/40, left 0:05:40",
    ]


def test_other_processes_are_silent(clock):
    progress, log, task = PlainProgress(), Log(), SimpleNamespace(device="cpu")
    progress.on_train_start(log, task)
    log.is_global_zero = False
    clock.seconds += 100
    progress.on_train_batch_end(log, task, None, None, 1)
    assert len(log.lines) == 1
