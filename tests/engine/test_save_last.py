"""`last.ckpt`: whole at any moment, the one before kept, written when it is time, on all processes alike."""

import errno
import os
import signal
import time
from types import SimpleNamespace

import pytest
import torch

from subquad.base.interruption import Interrupted, raising
from subquad.engine import save_last
from subquad.engine.callbacks import PlainProgress
from subquad.engine.generations import Generations
from subquad.engine.interruption import Interruption
from subquad.engine.progress import Progress
from subquad.engine.run_folder import previous_of
from subquad.engine.save_last import SaveLast


def checkpoint(number):
    return {"number": number, "tensor": torch.full((1000,), float(number))}


def number(path):
    return torch.load(path, weights_only=True)["number"]


def test_the_generation_before_is_kept(tmp_path):
    files, path = Generations(), tmp_path / "run" / "last.ckpt"
    for count in (1, 2, 3):
        files.save_checkpoint(checkpoint(count), path)
        assert files.failure is None and number(path) == count
    assert previous_of(path).name == "last.previous.ckpt" and number(previous_of(path)) == 2
    assert len(list(path.parent.iterdir())) == 2
    assert files.load_checkpoint(path, weights_only=True)["number"] == 3


def test_a_disk_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    for count in (1, 2):
        Generations().save_checkpoint(checkpoint(count), tmp_path / "last.ckpt")
    assert [number(tmp_path / name) for name in ("last.ckpt", "last.previous.ckpt")] == [2, 1]


def test_nothing_is_written_anywhere_else(tmp_path, monkeypatch):
    """A folder for temporary files on another file system cannot be renamed from."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    files = Generations()
    files.save_checkpoint(checkpoint(1), tmp_path / "last.ckpt")
    assert files.failure is None


@pytest.mark.parametrize("kind", ["full", "wrong"])
def test_what_cannot_be_written_or_read_back_leaves_both_generations(tmp_path, monkeypatch, kind):
    files, path = Generations(), tmp_path / "last.ckpt"
    for count in (1, 2):
        files.save_checkpoint(checkpoint(count), path)
    if kind == "full":
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        try:
            files.save_checkpoint(checkpoint(3), path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert files.failure == os.strerror(errno.EFBIG)
    else:

        def with_a_wrong_bit(content, file):
            save(content, path.with_name("good"))
            written = bytearray(path.with_name("good").read_bytes())
            path.with_name("good").unlink()
            written[len(written) // 2] ^= 1
            file.write(bytes(written))

        save = torch.save
        monkeypatch.setattr(torch, "save", with_a_wrong_bit)
        files.save_checkpoint(checkpoint(3), path)
        assert "cannot be read back" in str(files.failure)
    assert (number(path), number(previous_of(path))) == (2, 1)
    assert len(list(tmp_path.iterdir())) == 2


class Strategy:
    """One of two processes; the other one gives the answers `others` and then no, process 0 had `failure`."""

    def __init__(self, others=(), failure=None):
        self.others, self.failure = list(others), failure
        self.launcher, self.checkpoint_io = None, None

    def reduce_boolean_decision(self, decision, all):
        assert not all
        return (self.others.pop(0) if self.others else False) or decision

    def broadcast(self, said):
        return said if self.failure is None else self.failure


class Trainer(SimpleNamespace):
    """As much of a trainer as `SaveLast` looks at, at the end of a batch."""

    def __init__(self, evaluates=False, accumulates=False, **strategy):
        epoch_loop = SimpleNamespace(
            _should_check_val_fx=lambda _: evaluates or self.should_stop,
            _num_ready_batches_reached=lambda: False,
        )
        fit_loop = SimpleNamespace(
            epoch_loop=epoch_loop, _data_fetcher="", _should_accumulate=lambda: accumulates, max_steps=-1,
            max_epochs=3,
        )  # fmt: skip
        super().__init__(
            fit_loop=fit_loop, strategy=Strategy(**strategy), global_step=0, should_stop=False,
            current_epoch=0, is_global_zero=True, local_rank=0, sanity_checking=False,
            state=SimpleNamespace(fn="fit"), saved=[],
        )  # fmt: skip

    def save_checkpoint(self, path):
        self.saved.append(self.global_step)


def steps(trainer, saver, *numbers):
    """Take steps of an optimiser; returns at which of them was written."""
    for trainer.global_step in numbers:
        saver.on_train_batch_end(trainer, None, None, None, 0)
    return trainer.saved


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(save_last.time, "monotonic", lambda: now.seconds)
    return now


@pytest.fixture
def saver(tmp_path, clock):
    made = SaveLast(tmp_path, 100)
    made.on_train_start(Trainer(), None)
    return made


def test_every_so_many_steps_are_written(saver):
    assert steps(Trainer(), saver, *range(1, 301)) == [100, 200, 300]


def test_a_minute_is_the_most_that_is_lost(saver, clock):
    trainer = Trainer()
    for step in range(1, 9):
        clock.seconds += 25
        steps(trainer, saver, step)
    assert trainer.saved == [3, 6]


def test_gradients_that_are_gathered_are_no_step(saver, clock):
    trainer = Trainer()
    steps(trainer, saver, 1)
    clock.seconds += 1000
    assert steps(trainer, saver, 1, 1, 2, 2) == [2]


def test_one_clock_of_several_processes_is_enough(saver):
    """This process is not late, but all must write together."""
    assert steps(Trainer(others=[True]), saver, 2) == [2]


def test_nothing_is_written_before_an_evaluation_that_is_due(saver):
    """A run that is resumed from there would leave it out."""
    trainer = Trainer(evaluates=True)
    assert steps(trainer, saver, 1, 100) == []
    saver.on_validation_end(trainer, None)
    assert trainer.saved == [100]


def test_an_evaluation_amid_gathered_gradients_is_not_written(saver):
    trainer = Trainer(evaluates=True, accumulates=True)
    trainer.global_step = 5
    saver.on_validation_end(trainer, None)
    assert trainer.saved == []


def test_only_evaluations_of_training_are_written(saver):
    trainer = Trainer(evaluates=True)
    trainer.state.fn = "validate"
    saver.on_validation_end(trainer, None)
    trainer.state.fn, trainer.sanity_checking = "fit", True
    saver.on_validation_end(trainer, None)
    assert trainer.saved == []


def test_where_training_ends_it_is_written_once(saver):
    trainer = Trainer()
    trainer.should_stop = True  # as when the time is over: the evaluation that follows is not in its turn
    steps(trainer, saver, 7)
    saver.on_validation_end(trainer, None)
    saver.on_train_end(trainer, None)
    assert trainer.saved == [7]
    trainer.should_stop, trainer.fit_loop.max_steps = False, 9
    steps(trainer, saver, 8, 9)
    saver.on_train_end(trainer, None)
    assert trainer.saved == [7, 9]
    trainer.global_step = 10  # it ended in a way that nobody foresaw
    saver.on_train_end(trainer, None)
    assert trainer.saved == [7, 9, 10]


def test_all_processes_are_told_that_the_first_could_not_write(saver):
    trainer = Trainer(failure="No space left on device")
    with pytest.raises(OSError, match=r"last.ckpt of step 100 .*No space left.* none before it: make room"):
        steps(trainer, saver, 100)
    trainer.strategy.failure = None
    steps(trainer, saver, 200)
    trainer.strategy.failure = "No space left on device"
    with pytest.raises(OSError, match="the one before, of step 200, is whole"):
        steps(trainer, saver, 300)


def test_a_signal_to_another_process_ends_this_one_too(saver, tmp_path):
    trainer = Trainer(others=[True, True])  # that it is time, that it was a signal
    with pytest.raises(
        Interrupted, match="step 5: go on with subquad fit --config .*config.yaml --resume"
    ) as left:
        steps(trainer, saver, 5)
    assert trainer.saved == [5] and left.value.code == 143


def test_processes_that_lightning_started_leave_it_to_the_first_to_tell(tmp_path):
    """It would be killed, at once and without a word, for the exit code of another."""
    for external, code in ((False, 0), (True, 143)):
        trainer = Trainer()
        trainer.is_global_zero, trainer.local_rank = False, 1
        cluster = SimpleNamespace(creates_processes_externally=external)
        trainer.strategy.launcher = SimpleNamespace(cluster_environment=cluster)
        interruption = Interruption(tmp_path)
        with raising():
            interruption.on_train_start(trainer, None)
            with pytest.raises(Interrupted) as left:
                interruption.leave(signal.SIGTERM)
        assert (str(left.value), left.value.code) == ("", code)


def test_a_signal_waits_for_the_step_and_the_second_does_not(tmp_path):
    told = []
    trainer = Trainer()
    trainer.strategy.launcher = SimpleNamespace(kill=told.append)
    interruption = Interruption(tmp_path)
    with raising():
        interruption.on_train_start(trainer, None)
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.signum == signal.SIGINT and told == [signal.SIGINT]
        with pytest.raises(Interrupted, match="by Ctrl-C before the first checkpoint") as left:
            os.kill(os.getpid(), signal.SIGINT)
    assert left.value.code == 130


def test_a_step_that_does_not_end_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("subquad.engine.interruption.PATIENCE", 0.05)
    interruption = Interruption(tmp_path)
    with raising():
        interruption.on_train_start(Trainer(), None)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
            assert interruption.signum, "the step is waited for"
            time.sleep(5)  # the second signal ends it


def test_the_last_evaluation_of_several_processes_asks_nothing_of_the_others(capsys):
    """The first prints alone: what all must count together, it must know already."""

    class OneOfTwo(SimpleNamespace):
        @property
        def estimated_stepping_batches(self):
            raise RuntimeError("the other processes are not here")

    from subquad.tasks.segmentation.learner import SegmentationLearner

    trainer = OneOfTwo(sanity_checking=False, is_global_zero=True, global_step=2, callback_metrics={})
    learner = SegmentationLearner.__new__(SegmentationLearner)
    PlainProgress(Progress("training")).on_validation_end(trainer, learner)
    assert capsys.readouterr().out == "step 2: \n"
