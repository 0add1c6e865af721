"""The documentation is true: its Python runs, its table of models is what the code says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_python_of_a_page_runs(page, tmp_path, monkeypatch, own_registry):
    """The blocks of a page run from top to bottom, in an empty folder; what they register is their own."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    namespace = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)


def test_no_placeholder_is_left():
    for page in PAGES:
        assert not re.search(r"TODO|RESULTS\b|_TABLE|TBD", page.read_text()), page


def test_every_recipe_is_documented_and_every_link_leads_somewhere():
    training = (ROOT / "docs" / "training.md").read_text()
    for recipe in (ROOT / "recipes").glob("*.yaml"):
        assert recipe.name in training
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[\w-]+)?\)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
