"""What a command imports before it answers, and what it says first: nobody waits for PyTorch without need."""

import os
import subprocess
import sys

import pytest

from subquad.tasks import task_names

HEAVY = ("torch", "numpy", "jsonargparse", "rich", "lightning", "yaml")
LIGHT = {  # by the arguments: what may be imported of these all the same
    ("--help",): (),
    ("--version",): (),
    ("models",): ("jsonargparse", "rich", "yaml"),
}


def python(code, *arguments):
    """Run code in a process of its own; returns its output."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_an_answer_that_needs_no_network_imports_no_pytorch(arguments):
    code = f"""
import sys
from subquad.cli.main import main
assert main(sys.argv[1:]) == 0
assert not {set(HEAVY) - set(LIGHT[arguments])} & set(sys.modules), sorted(sys.modules)
"""
    assert python(code, *arguments)


def test_the_version_is_had_without_pytorch():
    assert python("import sys, subquad; print(subquad.__version__); assert 'torch' not in sys.modules")


def test_the_first_line_of_fit_comes_before_lightning(tmp_path):
    """Its import takes seconds, in which nothing would be seen."""
    commands = [["fit", f"--task={task}", f"--output={tmp_path / task}"] for task in task_names()]
    code = f"""
import sys, subquad.engine.progress
from subquad.cli.main import main
def begin(what):
    print(what, sorted({{"lightning", "torchvision", "torchmetrics", "matplotlib"}} & set(sys.modules)))
    raise SystemExit
subquad.engine.progress.doing = begin
for arguments in {commands}:
    try:
        main(arguments)
    except SystemExit:
        pass
"""
    first = {"segmentation": "looking at the data"}  # for a plan
    assert python(code) == "".join(f"{first.get(task, 'reading data')} []\n" for task in task_names())


def test_what_takes_long_says_what_it_does(trained, call, tmp_path):
    for arguments, lines in (
        (["test", trained.run], ["reading network and data ...", "evaluating ..."]),
        (
            ["predict", trained.run, trained.data / "val" / "images", f"--output={tmp_path}"],
            ["predicting ..."],
        ),
    ):
        result = call(*arguments)
        assert (result.code, result.err) == (0, "")
        assert result.out.splitlines()[: len(lines)] == lines


def test_costs_are_counted_with_progress_on_stderr(call):
    result = call("models", "paramixer_adding", "--size=64")
    assert (result.code, result.err) == (0, "counting 1 network ...\n")
    assert "paramixer_adding" in result.out and "counting" not in result.out


def test_an_evaluation_notes_its_batches(trained, call, monkeypatch):
    from subquad.engine import callbacks

    noted = []
    monkeypatch.setattr(callbacks, "note", noted.append)
    assert call("test", trained.run).code == 0
    count = len(noted)
    assert noted == [f"batch {number + 1} of {count}" for number in range(count)] and count
