"""The measurements of fewer steps: they run, a dictionary that is closer needs fewer, the page holds them."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from subquad.models import create_model, save_model

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments" / "steps"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("run_of_fewer_steps", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def runs(tmp_path):
    """A folder with one run on Scenes that was not trained at all, of the start "learned"."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(
            "light_ham_van_tiny_d256", num_classes=7, backbone="conv_tiny", channels=16, ham_channels=16,
            rank=8, norm="batch", start="learned", steps=2, grad_steps=2,
        )  # fmt: skip
    save_model(network, tmp_path / "learned_0" / "best.safetensors")
    return tmp_path


def measured(script, tmp_path, *arguments):
    output = tmp_path / "found.jsonl"
    script.main([*map(str, arguments), "--data", "scenes", "--quick", "--output", str(output)])
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize("solver", ["NMF", "VQ", "CD"])
def test_every_start_is_measured_with_any_solver_by_name(script, runs, solver):
    lines = measured(script, runs, "reconstruction", runs / "learned_0", "--solvers", solver)
    errors = {(line["start"], line["steps"]): line["value"] for line in lines}
    starts = ("random", "fixed", "learned", "running", "another picture", "last frame")
    assert errors.keys() == {(start, steps) for start in starts for steps in (1, 2)}
    assert all(error > 0 for error in errors.values())
    assert {line["solver"] for line in lines} == {solver}
    if solver == "NMF":  # whose updates never raise it
        assert all(errors[start, 2] <= errors[start, 1] < 1 for start in starts)
        assert errors["last frame", 1] < errors["random", 1]


def test_the_dial_reaches_the_ham(script, runs):
    lines = measured(script, runs, "iou", runs, "--starts", "learned", "--steps", 1, 40)
    assert [line["steps"] for line in lines] == [1, 40] and lines[0]["value"] != lines[1]["value"]
    (runs / "found.jsonl").unlink()
    dialled = measured(script, runs, "dial", runs / "learned_0", "--steps", 1, 40)
    of = {
        start: [line["value"] for line in dialled if line["start"] == start]
        for start in ("learned", script.LATER)
    }
    assert of["learned"] == pytest.approx([line["value"] for line in lines], abs=1e-4)
    assert of[script.LATER] != of["learned"] and len(dialled) == 4


def test_latency_is_of_the_ham_and_of_the_network(script, runs):
    lines = measured(script, runs, "latency", runs / "learned_0")
    assert [(line["part"], line["steps"]) for line in lines] == [
        ("ham", 1), ("ham", 2), ("network", 1), ("network", 2),
    ]  # fmt: skip
    assert all(line["value"] > 0 and "quiet" in line for line in lines)


def test_the_running_dictionary_is_where_training_moves_it(script, runs):
    """The formula of the script is the one of `Ham` in training."""
    from subquad.nn import Ham

    x, y = torch.rand(2, 4, 8, 20, generator=torch.Generator().manual_seed(0))
    ham = Ham(8, rank=3, start="running", steps=script.USUAL)
    start = script.first_dictionary(ham, ham.solver, 0)
    assert torch.equal(start, ham.dictionary)
    for batch in (x, y):
        ham(batch)
        script_end = script.moved(start, [column[None] for column in batch], ham.solver)
        ham.eval().train()
        assert torch.allclose(script_end, ham.dictionary, atol=1e-6)
        start = script_end


@pytest.mark.parametrize("table", ["reconstruction", "iou", "dial"])
def test_the_page_holds_what_was_measured(table):
    command = [sys.executable, FOLDER / "tables.py", table]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed and printed in (ROOT / "docs" / "steps.md").read_text()
