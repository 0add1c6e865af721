"""The script for a GPU, on the CPU and with tiny sizes: what it will do when there is one."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "speed"))

import gpu
import gpu_kernels
import gpu_lab
import torch

from subquad.ops import dispatch

ENTRY = {"operation": "nmf", "device": "x", "dtype": "float32", "sizes": [1, 20, 40, 3], "triton_ms": 1}


def run(folder, *arguments):
    output = folder / "gpu.json"
    code = gpu.main(["--quick", "--device", "cpu", "--output", str(output), *arguments])
    return code, json.loads(output.read_text())


@pytest.mark.slow
def test_every_stage_runs_and_what_it_measures_can_be_shipped(tmp_path, monkeypatch):
    code, found = run(tmp_path, "--measured", str(tmp_path / "measured.json"))
    assert code == 0 and found["passed"] and found["quick"]
    assert list(found["stages"]) == list(gpu.STAGES)
    for stage in found["stages"].values():
        assert "error" not in stage and stage["rows"]
        assert all("error" not in way for row in stage["rows"] for way in row.get("ways", {}).values())
    monkeypatch.setattr(dispatch, "_MEASURED", tmp_path / "measured.json")
    dispatch._measurements.cache_clear()
    shipped = dispatch._measurements()
    dispatch._measurements.cache_clear()
    assert {entry["operation"] for entry in shipped} == {"nmf", "link_mix"} and len(shipped) == 4


@pytest.mark.slow
def test_a_wrong_kernel_is_found_and_not_measured(tmp_path, monkeypatch):
    right = gpu_kernels.nmf_kernel
    monkeypatch.setattr(gpu_kernels, "nmf_kernel", lambda *inputs: [1.1 * t for t in right(*inputs)])
    code, found = run(tmp_path, "--only", "check NMF", "NMF")
    assert code == 1 and not found["passed"] and found["measured"] == []
    assert found["stages"]["NMF"]["rows"]


def test_what_fails_or_takes_too_long_ends_its_stage_alone(tmp_path, monkeypatch):
    def endless(lab):
        lab.rows.append({"what": "first"})
        while True:
            torch.ones(1)

    monkeypatch.setitem(gpu.STAGES, "NMF", (endless, 0.001))
    monkeypatch.setitem(gpu.STAGES, "links", (lambda lab: 1 / 0, 0.1))
    code, found = run(tmp_path, "--only", "NMF", "links", "check solvers", "--seconds", "100")
    assert code == 1 and list(found["stages"]) == ["NMF", "links", "check solvers"]
    assert found["stages"]["NMF"]["error"] == "TimeoutError: it took longer than 0 s"
    assert found["stages"]["NMF"]["rows"] == [{"what": "first"}]
    assert found["stages"]["links"]["error"] == "ZeroDivisionError: division by zero"
    assert "error" not in found["stages"]["check solvers"]


def test_one_way_that_fails_leaves_the_others(tmp_path):
    lab = gpu_lab.Lab("cpu", True, 10, tmp_path / "gpu.json")
    times = lab.time("two", {"good": lambda: None, "bad": lambda: 1 / 0})
    assert times.keys() == {"good"} and not lab.found["passed"]
    assert lab.rows[0]["ways"]["bad"] == {"error": "ZeroDivisionError: division by zero"}


def test_a_file_of_measurements_keeps_what_is_in_it(tmp_path):
    path = tmp_path / "measured.json"
    gpu.write_measurements(path, [ENTRY, ENTRY | {"device": "y"}, ENTRY | {"triton_ms": 2}])
    assert json.loads(path.read_text()) == [ENTRY | {"triton_ms": 2}, ENTRY | {"device": "y"}]
    path.write_text("{}")
    with pytest.raises(SystemExit):
        run(tmp_path, "--measured", str(path))


def test_without_a_gpu_it_says_so(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "there is no GPU; --quick --device cpu tests the script" in capsys.readouterr().err
