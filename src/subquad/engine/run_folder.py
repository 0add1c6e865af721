"""The folder of a run: one run writes to it at a time, and none is overwritten."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from subquad.base.files import is_running, remove_unfinished
from subquad.base.locks import take_lock

LOCK = ".lock"
CHECKPOINT = "last.ckpt"
RESULTS = ("best.safetensors", "last.safetensors")  # what training makes and nothing makes again

_held: set[int] = set()


def _let_go() -> None:
    """Close the locks in a process that was forked: a loader's would hold them longer than the run."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def previous_of(path: str | Path) -> Path:
    """Return where the generation before a checkpoint lies: `last.previous.ckpt` beside `last.ckpt`."""
    path = Path(path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def is_resumable(folder: Path) -> bool:
    """Say whether a folder holds a checkpoint to resume from."""
    last = folder / CHECKPOINT
    return last.is_file() or previous_of(last).is_file()


def refuse_run(folder: Path, resume: bool) -> None:
    """Raise ValueError if the folder holds a run, and training would begin anew over its results."""
    if resume and is_resumable(folder):
        return
    results = [name for name in RESULTS if (folder / name).exists()]
    if resume and results:
        raise ValueError(
            f"{folder} holds {results[0]} but no {CHECKPOINT}, so there is nothing to resume from; start "
            f"from its weights with --config {folder / 'config.yaml'}, --model.weights {folder / results[0]} "
            f"and another --output."
        )
    if results or is_resumable(folder):
        raise ValueError(
            f"{folder} holds a run already; continue it with --resume, or choose another --output."
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs from writing to a folder meanwhile; it is made if needed.

    The lock dies with this process. What processes that were killed left unfinished is removed.

    Raises:
        ValueError: If another run is writing there, or it is no folder.
        OSError: If nothing can be written there.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise ValueError(
                f"--output {folder}: {path} is no folder; give the name of one that may be made."
            )
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _take(folder)
    try:
        remove_unfinished(folder)
        yield
    finally:
        with suppress(OSError):  # removed, or on a system that keeps what is open
            (folder / LOCK).unlink()
        _held.discard(descriptor)
        os.close(descriptor)
        with suppress(OSError):  # a folder that holds something stays
            for path in made:
                path.rmdir()


def _take(folder: Path) -> int:
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _lock(descriptor, path):
            os.close(descriptor)
            owner = {"pid": "unknown", "host": "unknown", **_owner(path)}
            raise ValueError(
                f"another run, process {owner['pid']} on host {owner['host']}, is writing to {folder}; wait "
                f"until it ends, or choose another --output."
            )
        with suppress(OSError):  # who held the lock may have removed the file in between
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                break
        os.close(descriptor)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
    _held.add(descriptor)
    return descriptor


def _lock(descriptor: int, path: Path) -> bool:
    """Return whether the lock is had; where files cannot be locked, whether its owner is gone."""
    had = take_lock(descriptor, wait=False)
    if had is not None:
        return had
    owner = _owner(path)
    # Of another machine nothing is known: a lock that nobody can lift would be worse than none.
    may_run = owner.get("host") == socket.gethostname() and os.name == "posix"
    return not (may_run and owner["pid"] != os.getpid() and is_running(owner["pid"]))


def _owner(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        return {"pid": int(content["pid"]), "host": str(content["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


_locks = ExitStack()


def lock(folder: Path) -> None:
    """Do as `locked` to the end of the command, which is to be `releasing`."""
    _locks.enter_context(locked(folder))


@contextmanager
def releasing() -> Iterator[None]:
    """Give back what `lock` took, at the end; decorates a command."""
    try:
        yield
    finally:
        _locks.close()
