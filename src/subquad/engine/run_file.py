"""What a run says of itself in `run.json`; read without Lightning, which takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from subquad.base.files import read_file
from subquad.base.limits import LARGEST_SCORES

RUN_FILE = "run.json"
WRITER = "subquad fit"


def read_run_file(folder: Path) -> dict[str, Any]:
    """Return what `run.json` of a run says; {} if it is not there, damaged, or of something else."""
    try:
        content = json.loads(read_file(folder / RUN_FILE, LARGEST_SCORES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and content.get("written_by") == WRITER else {}


def sessions_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sessions of a run, those without the numbers that are added up left out."""
    needed = ("first_step", "last_step", "seconds", "evaluating_seconds")
    sessions = content.get("sessions")
    return [
        session
        for session in (sessions if isinstance(sessions, list) else [])
        if isinstance(session, dict) and all(isinstance(session.get(n), int | float) for n in needed)
    ]
