"""A package of somebody else brings a task, a family and a solver; a broken one breaks nothing else."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import subquad
from checkpoint_files import saved
from cli_helpers import write_data

PLUGIN = Path(__file__).parent / "plugin"


def install(target, entry_points, package=None):
    """Install a package into a folder.

    By hand: pip would have to fetch what builds it, and a test does not go to the network.
    """
    if package is not None:
        shutil.copytree(package, target / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    info = target / "subquad_toy-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: subquad-toy\nVersion: 0.1\n")
    lines = [
        line
        for group, points in entry_points.items()
        for line in (f"[{group}]", *(f"{name} = {where}" for name, where in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return target


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    return install(tmp_path_factory.mktemp("site"), project["entry-points"], PLUGIN / "subquad_toy")


@pytest.fixture
def python(tmp_path):
    """Run Python with a folder of installed packages; in its own process, where nothing is registered yet."""

    def run(site, code, *arguments):
        paths = os.pathsep.join([str(site), str(Path(subquad.__file__).parents[1])])
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120,
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    return run


# Several commands in one process: torch and Lightning take seconds to import.
COMMANDS = """
import json, sys
from subquad.cli.main import main
for command in json.loads(sys.argv[1]):
    print(main(command))
    print("=" * 9, file=sys.stderr)
"""


def told(done):
    """Return what each of the `COMMANDS` said on stderr."""
    return done.stderr.split("=========\n")[:-1]


def codes(done):
    return [int(line) for line in done.stdout.splitlines() if line.isdecimal()]


def test_a_package_s_task_is_trained_tested_and_predicts(toy, python, tmp_path):
    (tmp_path / "wave.txt").write_text("1\n-1\n" * 16)
    short = ["--trainer.max_steps=2", "--trainer.val_check_interval=1", "--trainer.accelerator=cpu"]
    own = ["--model.name=toy_wide", "--model.solver=Shrunk"]
    commands = [
        ["fit", "--task=toy", *own, *short, "--output=run"],
        ["fit", "--config=run/config.yaml", "--output=again"],
        ["test", "run", "--json=scores.json", "--device=cpu"],
        ["predict", "run", "wave.txt"],
        ["explain", "wave.txt", "--model=run"],
        ["info", "again/best.safetensors", "--json=info.json"],
        ["data", "check", "nowhere", "--format=wave"],
    ]
    done = python(toy, COMMANDS, json.dumps(commands))
    assert codes(done) == [0, 0, 0, 0, 2, 0, 2], done.stderr
    assert "run is a network for toy, which is not explained; give one for segmentation" in told(done)[4]
    assert json.loads((tmp_path / "scores.json").read_text())["task"] == "toy"
    assert (tmp_path / "class.txt").read_text() in ("round\n", "square\n")
    config = json.loads((tmp_path / "info.json").read_text())["config"]
    assert (config["width"], config["class_names"]) == (12, ["round", "square"])
    assert config["solver"] == {"type": "Shrunk", "eps": 1e-6, "share": 0.9}
    assert "Did you mean 'waves'?" in told(done)[-1]


IN_PYTHON = """
import sys, torch
from subquad import create_model, load_model, save_model
from subquad.models.solvers import solver_class
from subquad.nn import Hamburger
network = create_model(
    "light_ham_van_tiny_d256", backbone="conv_tiny", ham_channels=32, channels=32, rank=4, num_classes=2,
    solver="Shrunk",
).eval()
save_model(network, "m.safetensors")
x = torch.randn(1, 3, 32, 32)
again = load_model("m.safetensors")
assert torch.equal(again(x), network(x)) and type(again.config.solver).__module__ == "subquad_toy.network"
block = Hamburger(8, dim=8, rank=2, solver=solver_class("Shrunk")(share=0.5))
assert block(torch.randn(1, 8, 5, 5)).isfinite().all()
assert "subquad_toy.task" not in sys.modules
"""


def test_a_package_s_solver_is_chosen_by_name_saved_and_loaded(toy, python):
    python(toy, IN_PYTHON)


BROKEN = {
    "subquad.tasks": {
        "gone": "no_such_package:TASK", "empty": "subquad:__version__", "alias": "subquad_toy.task:TASK",
        "segmentation": "subquad_toy.task:TASK",
    },
    "subquad.families": {"gone": "no_such_package:Config", "sequence": "no_such_package:Config"},
    "subquad.solvers": {"NMF": "no_such_package:NMF", "Gone": "no_such_package:Gone"},
}  # fmt: skip


@pytest.mark.slow
def test_broken_packages_are_told_and_break_nothing_else(python, tmp_path):
    site = install(tmp_path / "site", BROKEN, PLUGIN / "subquad_toy")
    write_data(tmp_path / "data")
    saved(tmp_path / "m.safetensors")  # of the family "sequence", which is ours
    commands = [
        ["--help"],
        ["info", "m.safetensors"],
        ["data", "check", "data"],
        *(["fit", f"--task={name}"] for name in ("gone", "empty", "alias", "gne")),
        ["fit", "--task=segmentation", "--data.root=data", "--data.batch_size=2", "--model.solver=Gone"],
    ]
    done = python(site, COMMANDS, json.dumps(commands))
    assert codes(done) == [0, 0, 0, 2, 2, 2, 2, 2], done.stderr
    helped, info, check, gone, empty, alias, unknown, solver = told(done)
    assert helped == info == ""
    assert check.count("note: ") == 4 == len(check.splitlines())
    assert "the task 'segmentation' of another package is left out: the name is taken" in check
    for sentence in (gone, empty, alias, unknown, solver):
        assert len(sentence.splitlines()) == 1
    assert "the task 'gone' of no_such_package:TASK cannot be had: No module named 'no_such_package'" in gone
    assert "which is no Task" in empty
    assert "it is the task 'toy'" in alias
    assert "Did you mean 'gone'?" in unknown
    assert "the solver 'Gone' of no_such_package:Gone cannot be had" in solver


def test_help_imports_no_package(toy, python):
    code = "import sys; from subquad.cli.main import main; main(['--help'])"
    python(toy, f"{code}\nassert 'subquad_toy' not in sys.modules")
