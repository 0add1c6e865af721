"""The config.yaml beside a checkpoint is a recipe, read as one: plain values of options that there are."""

import shutil

import pytest

from subquad.tasks import task_called
from subquad.tasks.asking import run_of


@pytest.fixture
def run(trained, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(trained.weights, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("!!python/object/apply:os.system ['touch PWNED']", "has the tag"),
        ("data: {name: !!python/name:os.system }", "has the tag"),
        ("data: &a {name: folder}\nmodel: *a", "anchor"),
        ("trainer: null", "no section `data`"),
        ("- data", "holds a list"),
        ("data: null", "no section `data`"),
        ("data: {class_path: os.system}", "data.class_path"),
        ("data: {batch_size: x}", "data.batch_size"),
        ("data: {batch_size: null}", "data.batch_size"),
        ("data: {crop: 7}", "data.crop"),
        ("data: {nonsense: 1}", "data.nonsense"),
        ("data: {}\nprotocol: 3", "protocol"),
        ("data: {}\nprotocol: {scales: x}", "protocol.scales"),
        ("data: {}\nmodel: [1]", "model"),
        ("data: {}\nseed: x", "seed"),
        ("data: {scale: [1, .inf]}", "data.scale"),
        ("data: {name: [", "no YAML"),
        (b"data: \xff", "no text in UTF-8"),
    ],
)
def test_what_is_no_recipe_is_refused(complains, run, tmp_path, monkeypatch, text, says):
    monkeypatch.chdir(tmp_path)
    (run / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    complains("test", run, quoting=[str(run / "config.yaml"), says])
    assert not (tmp_path / "PWNED").exists()


def test_values_are_those_of_the_options(run):
    """Only what an evaluation asks for is looked at: a trainer of another version changes nothing."""
    text = "data: {crop: [8, 8], name: scenes}\nprotocol: {flip: true}\ntrainer: {profiler: null}\nnew: 3\n"
    (run / "config.yaml").write_text(text)
    known = {"data": {"crop": (8, 8), "name": "scenes"}, "protocol": {"flip": True}}
    task = task_called("segmentation")
    assert run_of(task, run) == known
    assert run_of(task, run / "best.safetensors") == {}
    assert run_of(task, run / "best.safetensors", or_file=True) == known
