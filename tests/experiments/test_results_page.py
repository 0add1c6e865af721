"""docs/results.md is made of the lines of experiments, and the README tells only what their tables print."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from subquad.engine.experiment import experiment_names, read_experiment
from subquad.engine.experiment_results import case_names, of_case, read_lines, table_text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments"
NAMES = experiment_names(FOLDER)
PAGE = (ROOT / "docs" / "results.md").read_text()
README = (ROOT / "README.md").read_text()
NUMBER = r"\d[\d,]*(?:\.\d+)?"


@pytest.fixture
def results_of(monkeypatch):
    """The directive's module, which the documentation imports from its own folder."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(ROOT / "docs")
    import results_of

    yield results_of
    sys.modules.pop("results_of", None)


def table_of(name):
    experiment = read_experiment(FOLDER, name)
    return table_text(experiment, read_lines(experiment.results))


def test_nothing_of_the_page_is_typed():
    typed = re.sub(r"^```\{experiment\}.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"^\s*\|", typed, re.MULTILINE)
    assert not re.search(rf"{NUMBER} ?(%|±|points?|ms|s|min|minutes?|seconds?|hours?|MiB|GiB)(?!\w)", typed)
    shown = re.findall(r"^```\{experiment\} (\w+)\n```$", PAGE, re.MULTILINE)
    assert len(shown) == len(set(shown)) and set(shown) <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_section_has_a_row_for_each_case_with_results(name, results_of, tmp_path):
    experiment = read_experiment(FOLDER, name)
    lines = read_lines(experiment.results)
    text = results_of.text_of(name, tmp_path / "pictures")
    assert text.startswith(f"**{experiment.question}**") and f"`subquad reproduce {name}`" in text
    for case in case_names(experiment, lines):
        if of_case(experiment, lines, case):
            assert re.search(rf"^\|.*\b{re.escape(case)} \|", text, re.MULTILINE), case
    if lines and not experiment.tables:
        assert (tmp_path / "pictures" / f"{name}.svg").is_file()


@pytest.mark.parametrize(
    ("name", "key"), [("scenes", "mean_iou"), ("tiles", "mean_iou"), ("hamgan", "distance")]
)
def test_a_section_follows_its_lines(name, key, results_of, tmp_path, monkeypatch):
    shutil.copytree(FOLDER / name, tmp_path / "experiments" / name)
    monkeypatch.setattr(results_of, "ROOT", tmp_path)
    path = tmp_path / "experiments" / name / "results.jsonl"
    first, *rest = path.read_text().splitlines()
    before = results_of.text_of(name, tmp_path / "pictures")
    path.write_text("\n".join([json.dumps({**json.loads(first), key: 0.125}), *rest]))
    assert results_of.text_of(name, tmp_path / "pictures") != before
    path.write_text("\n".join(["{", *rest]))
    with pytest.raises(Exception, match=r"no JSON|returned non-zero"):
        results_of.text_of(name, tmp_path / "pictures")


def test_the_readme_tells_what_the_tables_print():
    section = README.partition("## Measured results")[2].partition("\n## ")[0]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| ")][1:]
    assert 1 <= len(rows) <= 8
    for _, result, command in rows:
        names = re.findall(r"`subquad reproduce (\w+)`", command)
        printed = {number for name in names for number in re.findall(NUMBER, table_of(name))}
        assert names and {*re.findall(NUMBER, result)} <= printed, result
