"""What a command may write: nothing that is there unasked, and never what it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subquad.base.files import check_writable, read_file, write_whole
from subquad.base.limits import LARGEST_SCORES

WRITER = "written_by"  # the key in the files of `--json`


def check_outputs(
    paths: Sequence[Path], inputs: Sequence[str | Path], *, overwrite: bool, option: str = "--output"
) -> None:
    """Raise ValueError if a file to be written is an input, or is there and not to be replaced.

    Args:
        paths: Files that will be written.
        inputs: Files that are read, and folders all of whose files are; they are never replaced, by
            whatever name, link or path the output means them.
        overwrite: Whether other files may be replaced.
        option: That the user gives to write elsewhere.
    """
    # A link to nothing is there, too: writing would make what it points to.
    taken = [path for path in paths if os.path.lexists(path)]
    folders = [os.path.realpath(path) for path in inputs if os.path.isdir(path)]
    files = {_identity(path) for path in inputs if os.path.exists(path) and not os.path.isdir(path)}
    for path in taken:
        inside = any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in folders)
        if inside or (os.path.exists(path) and _identity(path) in files):
            raise ValueError(f"{path} is read by this command and would be replaced; give another {option}.")
    if taken and not overwrite:
        count = f" ({len(taken)} of {len(paths)} files are there)" if len(paths) > 1 else ""
        raise ValueError(f"{taken[0]} is there already; give --overwrite, or another {option}{count}.")


def check_scores(path: str | None, command: str, inputs: Sequence[str | Path] = ()) -> None:
    """Raise ValueError unless scores can be written to the file of `--json`.

    Scores of an earlier call are replaced, nothing else.

    Args:
        path: Of the file; None: nothing is asked for.
        command: That writes it, such as "subquad test"; files of other commands are left alone.
        inputs: As `check_outputs` takes them.
    """
    if path is None:
        return
    check_writable(path)
    check_outputs([Path(path)], inputs, overwrite=True, option="--json")
    if os.path.lexists(path) and not _is_of(Path(path), command):
        raise ValueError(f"{path} is there already and is not of `{command}`; give another --json.")


def write_scores(path: str | None, command: str, content: Mapping[str, Any]) -> None:
    """Write the file of `--json`, if it is asked for.

    Args:
        path: Of the file; None writes nothing.
        command: That writes it; `check_scores` knows its files by that.
        content: What it tells.
    """
    if path is not None:
        write_whole(path, f"{json.dumps({WRITER: command, **content}, indent=1)}\n".encode())


def _identity(path: str | Path) -> tuple[int, int]:
    """Return what two names of one file have in common."""
    state = os.stat(path)
    return state.st_dev, state.st_ino


def _is_of(path: Path, command: str) -> bool:
    """Say whether a file is one of `write_scores`, of that command."""
    try:
        content = json.loads(read_file(path, LARGEST_SCORES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get(WRITER) == command
