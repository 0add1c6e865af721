"""Commands that go on from a run, with its own paths: they work when they are pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subquad.engine.run_file import RUN_FILE
from subquad.engine.run_folder import is_resumable
from subquad.tasks.runs import Run


def next_steps(run: Run, data: Any) -> list[tuple[str, str]]:
    """Return what each does, and the command.

    Args:
        run: The run.
        data: Opened to be evaluated; None if they are not at hand.
    """
    folder = run.folder.resolve()
    config = str(folder / "config.yaml")
    found: list[tuple[str, Sequence[str]]] = []
    if run.is_unfinished and is_resumable(folder):
        again = ["fit", "--config", config, "--output", str(folder), "--resume"]
        found.append(("Go on with training where it ended:", again))
    found.append(("Measure the best weights once more:", ["test", str(folder)]))
    found += run.task.next_commands(str(folder), data)
    found.append(
        (
            "Train another run from its weights; change options at the end of the line:",
            ["fit", "--config", config, "--model.weights", str(folder / "best.safetensors"),
             *run.task.same_data(folder), "--output", str(_free(folder))],
        )
    )  # fmt: skip
    if other := _beside(folder):
        found.append(("Compare it with another run:", ["compare", str(folder), str(other)]))
    found.append(("Write this page anew:", ["report", str(folder)]))
    return [(what, command_line(arguments)) for what, arguments in found]


def command_line(arguments: Sequence[str]) -> str:
    """Return a command as a shell takes it."""
    return shlex.join(["subquad", *arguments])


def _free(folder: Path) -> Path:
    """Return the name of a folder beside that is not there yet."""
    number = 2
    while (place := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return place


def _beside(folder: Path) -> Path | None:
    """Return another run of the same folder, the newest one; None if there is none."""
    others = [
        path.parent
        for path in folder.parent.glob(f"*/{RUN_FILE}")
        if path.parent != folder and (path.parent / "best.safetensors").is_file()
    ]
    return max(others, key=lambda path: (path / RUN_FILE).stat().st_mtime, default=None)
