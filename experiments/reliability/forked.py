"""Run commands in children of one process that has everything imported: half a second instead of five."""

from __future__ import annotations

import importlib
import os
import pkgutil
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import subquad

SECONDS = 10.0  # for a refusal; what works on good input may take longer
MEBIBYTES = 1024


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        code: Its exit status; minus the signal that ended it; None: it ran past the limit.
        seconds: Wall time.
        mebibytes: Peak of its memory above what the parent had when it forked.
        out: What it printed.
        err: What it printed to stderr.
    """

    code: int | None
    seconds: float
    mebibytes: float
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on stderr."""
        lines = self.err.strip().splitlines()
        return lines[-1] if lines else ""

    def faults(self, seconds: float = SECONDS, mebibytes: float = MEBIBYTES) -> list[str]:
        """Say what a command on bad input must not do, whatever its answer is."""
        found = []
        if self.code is None or self.seconds > seconds:
            found.append(f"{self.seconds:.1f} s")
        elif self.code not in (0, 2):
            found.append(f"exit {self.code}")
        if "Traceback (most recent call last)" in self.err + self.out:
            found.append("traceback")
        if self.mebibytes > mebibytes:
            found.append(f"{self.mebibytes:.0f} MiB")
        if self.code == 2 and not self.sentence.startswith("subquad"):
            found.append("no sentence")
        return found


def run(
    arguments: Sequence[str],
    folder: Path,
    *,
    limit: float = 60.0,
    before: Callable[[], None] | None = None,
) -> Outcome:
    """Run `subquad` with these arguments in a folder, in a child.

    Args:
        arguments: Of the command.
        folder: Where it runs.
        limit: Seconds after which it is killed.
        before: Called in the child first, to set limits.
    """
    files = [folder / f".drill.{name}" for name in ("out", "err")]
    begun, parent = time.monotonic(), _memory()
    child = os.fork()
    if child == 0:
        _become(arguments, folder, files, before)
    code: int | None = None
    while time.monotonic() - begun < limit:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    else:
        os.kill(child, signal.SIGKILL)
        _, _, usage = os.wait4(child, 0)
    seconds = time.monotonic() - begun
    out, err = (file.read_text(errors="replace") if file.is_file() else "" for file in files)
    for file in files:
        file.unlink(missing_ok=True)
    return Outcome(code, seconds, max(0.0, usage.ru_maxrss / 1024 - parent), out, err)


def _become(
    arguments: Sequence[str], folder: Path, files: list[Path], before: Callable[[], None] | None
) -> None:
    """Turn this process into the command; never returns."""
    code = 70
    with suppress(BaseException):
        os.setsid()
        for number, file in enumerate(files, start=1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        if before is not None:
            before()
        from subquad.cli.main import main

        try:
            code = main(list(arguments))
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 1
        import sys

        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def warm_up() -> None:
    """Import what commands import, so that children need not; no thread is started."""
    names = ["lightning.pytorch", "torchvision", "timm", "rich.table", "matplotlib", "onnx", "onnxscript"]
    names += [module.name for module in pkgutil.walk_packages(subquad.__path__, "subquad.")]
    for name in names:
        if not name.endswith("__main__"):
            with suppress(ImportError):  # an extra that is not installed
                importlib.import_module(name)


def _memory() -> float:
    """Return the mebibytes that a child of this process begins with."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
