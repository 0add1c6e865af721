"""The documentation is true: its Python runs, its table of models is what the code says."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nightly import some_by_day

ROOT = Path(__file__).parents[1]
ADD_A_TASK = ROOT / "docs" / "add_a_task.md"
KINDS = ("*.md", "*.py", "*.yaml", "*.toml", "Makefile", ".ci/*")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


EXPORTING = ("add_a_network.md", "export.md", "sequences.md")  # ten seconds each


@pytest.mark.parametrize(
    "page", some_by_day(PAGES, lambda page: page.name not in EXPORTING), ids=lambda page: page.name
)
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_python_of_a_page_runs(page, tmp_path, monkeypatch, own_registry):
    """The blocks of a page run from top to bottom, in an empty folder; what they register is their own.

    A block that begins with a path, such as `# clouds/data.py`, is that file.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    namespace = {"__name__": "page"}
    modules = set(sys.modules)
    for block in blocks:
        if name := re.match(r"# ([\w/]+\.py)\n", block):
            Path(name[1]).parent.mkdir(exist_ok=True)
            Path(name[1]).write_text(block)
        else:
            exec(compile(block, str(page), "exec"), namespace)
    for name in set(sys.modules) - modules:  # or the next page would find them
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


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


def test_the_task_of_the_guide_is_short():
    """What its four files hold, blank lines and the names of the files left out."""
    blocks = re.findall(
        r"^```python\n# \w+/\w+\.py\n(.*?)^```", ADD_A_TASK.read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 4
    assert sum(bool(line.strip()) for block in blocks for line in block.splitlines()) < 150


def test_the_task_of_the_guide_counts_each_sample_once(tmp_path, monkeypatch, own_registry):
    """Three processes have batches of ten samples, equally many; what fills them up is no cloud."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "clouds").mkdir()
    for name, block in re.findall(
        r"^```python\n# (\w+/\w+\.py)\n(.*?)^```", ADD_A_TASK.read_text(), re.MULTILINE | re.DOTALL
    ):
        (tmp_path / name).write_text(block)
    modules = set(sys.modules)
    try:
        task = importlib.import_module("clouds.task")
        data = task.CloudData(task.CloudOptions(clouds=10, batch_size=2), seed=0)
        learner = task.CloudLearner(task.CloudConfig().build(), 0)
        learner.on_validation_epoch_start()
        shares = [data.evaluation_batches(data.datasets["val"], rank, 3) for rank in range(3)]
        for samples, order, collate in shares:
            for number, keys in enumerate(order):
                learner.validation_step(collate([samples[key] for key in keys]), number)
        assert {len(share.order) for share in shares} == {2}
        assert learner.sums[1] == 10
    finally:
        for name in set(sys.modules) - modules:
            if name.partition(".")[0] == "clouds":
                del sys.modules[name]


GROUPS = {f"subquad.{name}" for name in ("families", "mixers", "solvers", "tasks")}  # of entry points


def is_there(name):
    """Say whether a dotted name is a module, or stands in the last module of it."""
    path, (_, *rest) = ROOT / "src" / "subquad", name.split(".")
    while rest and ((path / rest[0]).is_dir() or (path / f"{rest[0]}.py").is_file()):
        path = path / rest.pop(0)
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    return not rest or re.search(rf"\b{rest[0]}\b", text)


def leads_somewhere(path, file):
    """Say whether a path is that of a file, from the root, the package or the folder of what names it."""
    return any((place / path).exists() for place in (ROOT, ROOT / "src", ROOT / "src/subquad", file.parent))


def test_what_prose_names_is_there():
    """Names such as `subquad.nn.Ham` and paths such as `engine/run.py`: in prose, recipes and code."""
    listed = subprocess.run(["git", "ls-files", "-z", *KINDS], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    rooms = "|".join(path.name for path in (ROOT / "src/subquad").iterdir() if path.is_dir())
    lost = []
    for file in (ROOT / name for name in listed.stdout.split("\0") if name):
        text = file.read_text() if file.is_file() else ""
        names = set(re.findall(r"\bsubquad(?:\.[A-Za-z]\w*)+", text)) - GROUPS
        lost += [(file, name) for name in names if not is_there(name)]
        paths = re.findall(
            rf"[\w./-]*\b(?:{rooms}|recipes|tests|experiments)/[\w/.-]+\.(?:py|yaml|json)\b", text
        )
        paths = {path for path in paths if not re.search(r"\b(X|NAME|TASK)|test_NAME", path)}
        lost += [(file, path) for path in paths if not leads_somewhere(path, file)]
    assert not lost
