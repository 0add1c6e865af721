"""`subquad bench solvers`: all ways compute the same, and the rows say who is faster."""

import json
from importlib import import_module

import pytest

from subquad.bench import bench_solvers
from subquad.bench.solvers import BFLOAT16, LAYOUTS, OURS, PLAIN_WAY, SOLVERS
from subquad.cli.main import main


def test_every_way_is_measured_and_right():
    told = []
    result = bench_solvers(dim=6, positions=20, rank=2, steps=2, repeats=1, tell=told.append)
    ways = [PLAIN_WAY, OURS, *[BFLOAT16] * (not result.refused)]
    assert [(row.solver, row.layout, row.way) for row in result.rows] == [
        (solver, layout, way) for solver in SOLVERS for layout in LAYOUTS for way in ways
    ]
    for row in result.rows:
        assert row.error < (0.05 if row.way == BFLOAT16 else 1e-4)
        assert row.inference.p50 > 0 and row.training.p50 > 0 and row.scratch > 0
        if row.way == PLAIN_WAY:
            assert result.times_faster(row) == (1, 1)
    assert "NMF, channels_last, ours, round 1 of 1" in told


def test_the_command_prints_rows_and_writes(tmp_path, capsys):
    file, picture = tmp_path / "solvers.json", tmp_path / "solvers.png"
    small = ["--dim=6", "--positions=20", "--rank=2", "--steps=2", "--repeats=1"]
    assert main(["bench", "solvers", *small, f"--json={file}", f"--plot={picture}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("measuring solvers ...\n") and "training step, channels_last" in out
    assert all(f"{solver}, ours" in out for solver in SOLVERS)
    written = json.loads(file.read_text())
    assert written["positions"] == 20 and written["environment"]["quiet"] in (True, False)
    assert written["rows"][0]["inference"].keys() == {"p20", "p50", "p80"}
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("load", [0.0, 3.0])
def test_a_busy_machine_is_told(load, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(import_module("subquad.bench.environment"), "MOST_SPREAD", float("inf"))
    file = tmp_path / "busy.json"
    small = ["--dim=4", "--positions=9", "--rank=2", "--steps=1", "--repeats=1"]
    assert main(["bench", "solvers", *small, f"--json={file}"]) == 0
    told = "The machine was not quiet: the load was 3.0 before the measurement began; for numbers to publish"
    assert (told in capsys.readouterr().out) == (load > 0)
    environment = json.loads(file.read_text())["environment"]
    assert environment["quiet"] == (load == 0) and bool(environment["reason"]) == (load > 0)


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["solvers", "--rank=0"], "rank must be at least 1, got 0"),
        (["solvers", "--plot=x.bmp"], "--plot x.bmp must end with .png, .svg or .pdf"),
        (["solver"], "got 'solver'. Did you mean 'solvers'?"),
    ],
)
def test_wrong_options_are_one_sentence(arguments, quoted, capsys):
    assert main(["bench", *arguments]) == 2
    assert quoted in capsys.readouterr().err
