"""What a command says while it works, and what a log that is no terminal says while a run trains."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from subquad.base.interruption import Interrupted, raising
from subquad.engine import callbacks, progress
from subquad.engine.callbacks import PlainProgress
from subquad.engine.progress import THREAD, Progress, doing, is_first_process, note


class Log:
    """A trainer of 40 steps."""

    global_step, estimated_stepping_batches, is_global_zero = 0, 40, True
    num_val_batches = (9,)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now.seconds)
    return now


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.02)


def said_until(capsys, text):
    """Return all lines up to the first that holds a text."""
    out, end = "", time.monotonic() + 5
    while text not in out and time.monotonic() < end:
        time.sleep(0.005)
        out += capsys.readouterr().out
    return out.splitlines()


def test_it_says_where_training_begins_and_how_far_it_is_when_nothing_else_is_said(clock, capsys):
    said = Progress("training")
    plain, log = PlainProgress(said), Log()
    plain.on_train_start(log, SimpleNamespace(device="cpu"))
    lines = []
    for step in range(7):
        clock.seconds += 10
        lines.append(said.line())
        log.global_step = step + 1
    assert capsys.readouterr().out == "training on cpu from step 0/40 on\n"
    assert lines[:3] == [
        "at step 0/40 for 0:00:10",
        "at step 1/40, left 0:13:00",
        "at step 2/40, left 0:09:30",
    ]
    assert lines[6] == "at step 6/40, left 0:06:37"


def test_it_says_at_which_batch_an_evaluation_is(clock, capsys):
    with doing("training", beats=False) as said:
        plain, log = PlainProgress(said), Log()
        plain.on_validation_start(log, None)
        plain.on_validation_batch_start(log, None, None, 2)
        assert said.line() == "at step 0, evaluating batch 3 of 9"


def test_other_processes_are_silent(clock, capsys):
    plain, log = PlainProgress(Progress("training")), Log()
    log.is_global_zero = False
    plain.on_train_start(log, SimpleNamespace(device="cpu"))
    assert capsys.readouterr().out == ""


def test_what_is_done_is_said_at_once(monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 1e6)
    with doing("reading data"):
        assert capsys.readouterr().out == "reading data ...\n"


def test_what_is_done_is_said_again_while_it_lasts(hasty, capsys):
    with doing("reading data"):
        said = said_until(capsys, "reading data: ")
        assert said[0] == "reading data ..." and re.fullmatch(r"reading data: 0:00:\d\d", said[1])
        note("file 3 of 40")
        assert re.fullmatch(r"reading data: file 3 of 40, 0:00:\d\d", said_until(capsys, "file")[-1])
    note("nothing is being done")
    assert THREAD not in [thread.name for thread in threading.enumerate()]


def test_a_pipe_has_each_line_at_once():
    """Python keeps what goes into a pipe until there are 8 KB of it; a log would be empty for hours."""
    code = "import os\nfrom subquad.engine.progress import doing\nwith doing('reading'): os._exit(0)"
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=buffered)
    assert (done.stdout, done.stderr) == ("reading ...\n", "")


def test_what_was_just_said_is_followed_by_quiet(clock, capsys):
    said, waits = Progress("training"), []

    class Ended:
        def wait(self, seconds):
            """Amid each wait a line is said."""
            waits.append(seconds)
            clock.seconds += seconds / 2
            said.say("step")
            clock.seconds += seconds / 2
            return len(waits) > 3

    said.beat(Ended())
    assert capsys.readouterr().out.splitlines() == ["step"] * 4


def test_an_error_ends_what_is_said(hasty, capsys):
    with pytest.raises(ValueError, match="no such file"), doing("reading data"):
        raise ValueError("no such file")
    assert THREAD not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(ValueError, match="closed"), doing("reading data") as said:
        said._to = open(os.devnull, "w")  # noqa: SIM115  nobody reads any more
        said._to.close()
        time.sleep(0.1)
        said.say("this the command notices itself")


def test_a_bar_takes_the_place_of_lines(hasty, capsys):
    with doing("preparing training", beats=False):
        time.sleep(0.1)
    assert capsys.readouterr().out == "preparing training ...\n"


def test_it_can_be_said_on_another_stream(capsys):
    with doing("counting", to=sys.stderr):
        pass
    assert capsys.readouterr() == ("", "counting ...\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_is_forked_amid_a_line_can_say_its_own(monkeypatch):
    """Without the lock, a loader would inherit one that nobody in it ever gives back."""
    held, forked = threading.Event(), threading.Event()

    class Slow:
        def write(self, text):
            held.set()
            assert not forked.wait(0.1), "a process was forked amid a line"

        def flush(self):
            pass

    thread = threading.Thread(target=Progress("reading", Slow()).say, args=("a line",))  # pyright: ignore
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if progress._writing.acquire(timeout=5) else 1)
    forked.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_line_that_fails_ends_no_beats(hasty, capsys, monkeypatch):
    """It reads a trainer that is changing; a traceback of a thread would look like the end of the run."""
    monkeypatch.setattr(threading, "excepthook", lambda failed: pytest.fail(str(failed.exc_value)))
    calls = iter([RuntimeError("dictionary changed size"), AttributeError("no loop yet")])

    def line():
        for error in calls:
            raise error
        return "at step 7"

    said, ended = Progress("training"), threading.Event()
    said.line = line  # before the first beat
    thread = threading.Thread(target=said.beat, args=(ended,))
    thread.start()
    lines = said_until(capsys, "at step 7")
    ended.set()
    thread.join()
    assert [told.partition(": ")[0] for told in lines[:3]] == ["training", "training", "at step 7"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_signal_while_a_fork_waits_for_a_line_is_not_lost():
    """What a hook of a fork raises is printed and forgotten: Ctrl-C would do nothing."""
    held, end = threading.Event(), threading.Event()

    class Stuck:
        def write(self, text):
            held.set()
            end.wait(5)

        def flush(self):
            pass

    thread = threading.Thread(target=Progress("reading", Stuck()).say, args=("a line",))  # pyright: ignore
    thread.start()
    held.wait()
    with pytest.raises(Interrupted), raising():
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        child = os.fork()
        if child == 0:
            os._exit(0 if progress._writing.acquire(timeout=5) else 1)
        time.sleep(5)
    assert os.waitpid(child, 0)[1] == 0, "the child waits for a lock that nobody in it has"
    end.set()
    thread.join()
    assert progress._writing.acquire(timeout=1)
    progress._writing.release()


def test_only_the_first_process_speaks_before_lightning_knows_which_it_is(monkeypatch, capsys):
    for name in [name for name in sys.modules if name == "lightning.pytorch"]:
        monkeypatch.delitem(sys.modules, name)
    assert is_first_process()
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            with doing("reading data"):
                assert not is_first_process()
    assert capsys.readouterr().out == ""
