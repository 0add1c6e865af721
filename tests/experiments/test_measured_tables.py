"""Tables of the docs are those of the files that measurements wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("folder", "table", "page"),
    [
        ("speed", "solvers", "docs/bench.md"),
        ("speed", "modules", "docs/bench.md"),
        ("speed", "models", "docs/bench.md"),
        ("speed", "scaling", "docs/bench.md"),
        ("speed", "training", "docs/training.md"),
        ("speed", "inference", "docs/inference.md"),
        ("language", "recall", "docs/language.md"),
        ("language", "characters", "docs/language.md"),
        ("language", "repeats", "docs/language.md"),
        ("language", "cost", "docs/language.md"),
        ("language", "search", "experiments/language/README.md"),
        ("chordmixer", None, "experiments/chordmixer/README.md"),
    ],
)
def test_a_page_holds_what_was_measured(folder, table, page):
    script = ROOT / "experiments" / folder / "tables.py"
    command = [sys.executable, script, *([table] if table else [])]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout and result.stdout.strip() in (ROOT / page).read_text()
