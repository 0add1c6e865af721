"""Tables of the docs are those of the files that `subquad bench` and `train.py` wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("table", "page"),
    [
        ("solvers", "bench"),
        ("modules", "bench"),
        ("models", "bench"),
        ("scaling", "bench"),
        ("sequences", "results"),
        ("training", "training"),
        ("inference", "inference"),
    ],
)
def test_a_page_holds_what_was_measured(table, page):
    script = ROOT / "experiments" / "speed" / "tables.py"
    result = subprocess.run([sys.executable, script, table], capture_output=True, text=True, check=True)
    assert result.stdout and result.stdout in (ROOT / "docs" / f"{page}.md").read_text()
