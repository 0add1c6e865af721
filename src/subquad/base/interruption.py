"""A signal that ends a command: an exception of its own, which nobody takes for an error."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 8.0  # seconds for a step to end: containers are killed 10 seconds after they are told to end
LOADER_PATIENCE = PATIENCE + 2  # a loader that hangs, and whose run has ended, must end, too
Handler = Callable[[int, FrameType | None], None]


class Interrupted(BaseException):
    """Raised in place of what a signal would do: ends a command with one sentence.

    Not an Exception, so that no handler of errors swallows it, and no KeyboardInterrupt, for which
    Lightning leaves with exit code 1.

    Args:
        signum: The signal.
        sentence: What to tell; empty where another process tells it.
        code: Exit code; 128 + signal, as shells have it, if not given.
    """

    def __init__(self, signum: int, sentence: str = "", code: int | None = None) -> None:
        super().__init__(sentence)
        self.signum, self.code = signum, 128 + signum if code is None else code


def name_of(signum: int) -> str:
    """Return what users call a signal: Ctrl-C, or SIGTERM."""
    return "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name


def handle(handler: Handler) -> None:
    """Let a function handle the signals that end a run; Python takes it in the main thread only."""
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            signal.signal(signum, handler)


def outlive(worker: int = 0) -> None:
    """Let a loader process live until its run has saved: the `worker_init_fn` of loaders.

    Terminals, service managers and schedulers send a signal to all processes of a run. A loader that died of
    it would be an error in the run, which still needs its batches.

    Args:
        worker: Its number, which does not matter.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave_later)


def _leave_later(signum: int, frame: FrameType | None) -> None:
    timer = threading.Timer(LOADER_PATIENCE, os._exit, (128 + signum,))
    timer.daemon = True
    timer.start()


@contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """Let a function handle the signals meanwhile; in the main thread only, as `handle`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    try:
        handle(handler)
        yield
    finally:
        for signum, earlier in before.items():
            signal.signal(signum, earlier or signal.SIG_DFL)


def raising() -> AbstractContextManager[None]:
    """Let the signals raise `Interrupted` meanwhile."""
    return handling(_raise)


def _raise(signum: int, frame: FrameType | None) -> None:
    raise Interrupted(signum, f"interrupted by {name_of(signum)}.")
