"""Tables of the docs are those of the lines that the comparison of causal mixers wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("table", "page"),
    [
        ("recall", "docs/language.md"),
        ("characters", "docs/language.md"),
        ("cost", "docs/language.md"),
        ("search", "experiments/language/README.md"),
    ],
)
def test_a_page_holds_what_was_measured(table, page):
    script = ROOT / "experiments" / "language" / "tables.py"
    result = subprocess.run([sys.executable, script, table], capture_output=True, text=True, check=True)
    assert result.stdout and result.stdout.strip() in (ROOT / page).read_text()
