"""What a command is doing: said when it begins, and then whenever nothing was said for ten seconds.

A log that is no terminal shows no bar, and what reads, compiles or evaluates for minutes looks as if it hung.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from subquad.base.interruption import Interrupted

QUIET_SECONDS = 10.0
THREAD = "subquad-progress"  # its name
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # where Lightning looks for it, too

# Held while a line is written, and while a loader is forked, which else would inherit half a line and a lock
# that nobody in it gives back. The price: where the reader of a full pipe has stopped (`| less`), not only
# the beats wait for it but also training, as soon as it starts loaders. It goes on when the reader does.
_writing = threading.RLock()  # a signal may come amid a line
_REPEAT_SECONDS = 0.1
_at_fork: dict[str, int] = {}  # whether the lock is had; the signal that ended the wait for it


def _before_fork() -> None:
    """Wait for the end of a line; what a signal raises here Python would print and forget."""
    try:
        _at_fork["held"] = _writing.acquire()
    except BaseException as error:
        _at_fork["signal"] = error.signum if isinstance(error, Interrupted) else signal.SIGINT


def _after_fork() -> None:
    """Give the lock back, and send a signal once more that came while it was waited for."""
    if _at_fork.pop("held", False):
        _writing.release()
    if signum := _at_fork.pop("signal", 0):
        again = threading.Timer(_REPEAT_SECONDS, os.kill, (os.getpid(), signum))
        again.daemon = True
        again.start()


def _after_fork_in_child() -> None:
    """Begin with a lock that nobody has."""
    global _writing
    _writing = threading.RLock()
    _at_fork.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


class Progress:
    """How far something is; of `doing`.

    Args:
        what: Is being done.
        to: Where to say it; None: the standard output of the moment.
        beats: See `doing`.

    Attributes:
        beats: Whether it says how far it is now and then.
        place: How far it is, such as "picture 3 of 40"; "" if that is not known.
        line: Returns what to say after ten quiet seconds; called by another thread.
    """

    def __init__(self, what: str, to: TextIO | None = None, beats: bool = True) -> None:
        self.beats, self.place = beats, ""
        self.line: Callable[[], str] = self._usual_line
        self._what, self._to = what, to
        self._begun = self._told = time.monotonic()

    def say(self, line: str) -> None:
        """Write a line, at once; the next ten seconds may be quiet."""
        with _writing:
            out = self._to or sys.stdout
            out.write(f"{line}\n")
            out.flush()  # a pipe would keep it back
            self._told = time.monotonic()

    def beat(self, ended: threading.Event) -> None:
        """Say how far it is after each ten quiet seconds, until it has ended."""
        while not ended.wait(max(0.0, self._told + QUIET_SECONDS - time.monotonic())):
            if time.monotonic() - self._told < QUIET_SECONDS:
                continue
            try:
                line = self.line()
            except Exception:  # it looks at a trainer that another thread is changing; next time it may do
                line = self._usual_line()
            try:
                self.say(line)
            except (OSError, ValueError):  # nobody reads any more, which the command finds out itself
                return

    def _usual_line(self) -> str:
        place = f"{self.place}, " if self.place else ""
        return f"{self._what}: {place}{duration(time.monotonic() - self._begun)}"


_current: Progress | None = None


@contextmanager
def doing(what: str, *, to: TextIO | None = None, beats: bool = True) -> Iterator[Progress]:
    """Say what is done meanwhile, and how far it is every ten seconds; the first process alone does.

    Args:
        what: Is done, such as "reading data".
        to: Where to say it; None: the standard output of the moment.
        beats: False says it once, where something else shows how far it is.
    """
    global _current
    progress, ended = Progress(what, to, beats), threading.Event()
    thread = threading.Thread(target=progress.beat, args=(ended,), daemon=True, name=THREAD)
    if speaks := is_first_process():
        progress.say(f"{what} ...")
        if beats:
            thread.start()
    before, _current = _current, progress
    try:
        yield progress
    finally:
        _current = before
        ended.set()
        if speaks and beats:
            thread.join()


def note(place: str) -> None:
    """Tell what is being done how far it is, for its next line.

    Args:
        place: Such as "picture 3 of 40".
    """
    if _current is not None:
        _current.place = place


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds, such as 0:12:03; "unknown" if it is infinite."""
    if math.isinf(seconds):
        return "unknown"
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def is_first_process() -> bool:
    """Say whether this process is the one that prints and writes."""
    # Before Lightning knows the rank, the first process of another machine takes itself for the first.
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return _rank() == 0 and node == "0"


def _rank() -> int:
    """Return the number of this process; from the environment as long as Lightning is not imported."""
    if "lightning.pytorch" in sys.modules:
        from lightning.pytorch.utilities import rank_zero_only

        return getattr(rank_zero_only, "rank", 0) or 0
    return next((int(os.environ[name]) for name in RANKS if os.environ.get(name, "").isdecimal()), 0)
