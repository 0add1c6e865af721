"""`subquad demo`, with few steps and few scenes."""

import pytest

from subquad import load_model
from subquad.tasks.segmentation.commands.demo import _make_room
from subquad.tasks.segmentation.data import opening


@pytest.fixture
def few_scenes(monkeypatch):
    """Evaluation on 200 scenes is most of the time of so short a demo."""
    monkeypatch.setattr(opening, "SCENES_EVALUATED", 4)


def test_a_short_demo_leaves_a_report_and_a_checkpoint(call, few_scenes, tmp_path):
    folder = tmp_path / "demo"
    result = call("demo", "--steps=5", "--output", folder)
    assert (result.code, result.err) == (0, "")
    assert f"report:     {folder / 'report.html'}" in result.out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 3 and "http" not in page.split("<body>")[1]
    assert "--steps 5" in page and "without the ham" in page
    (checkpoint,) = (line.split()[-1] for line in result.out.splitlines() if line.startswith("checkpoint:"))
    assert load_model(checkpoint).config.context == "hamburger"
    for name in ("gold disk", "teal disk", "mean IoU"):
        assert name in result.out and name in page
    # Again into the same folder: it is a demo's, so it is replaced.
    assert call("demo", "--steps=5", "--output", folder).code == 0


@pytest.mark.parametrize("name", ["thesis.txt", "report.html"])
def test_other_files_are_never_removed(complains, tmp_path, name):
    (tmp_path / name).write_text("mine")
    complains("demo", "--steps=5", "--output", tmp_path, quoting=[str(tmp_path), "--output"])
    assert (tmp_path / name).read_text() == "mine"


def test_a_demo_that_was_interrupted_makes_room_for_the_next(tmp_path):
    (tmp_path / "none" / "logs").mkdir(parents=True)
    (tmp_path / "none" / "last.ckpt").touch()
    _make_room(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argument", "quoting"), [("--steps=4", "4"), ("--steps=many", "many"), ("--stpes=9", "--stpes")]
)
def test_bad_input(complains, tmp_path, argument, quoting):
    complains("demo", argument, "--output", tmp_path / "demo", quoting=quoting)
    assert not (tmp_path / "demo").exists()
