"""run.json: what a run took, over all of its sessions."""

import json

import pytest

from cli_helpers import fit_arguments
from subquad.engine.run_file import read_run_file, sessions_of


def test_a_run_says_what_it_took(trained):
    told = read_run_file(trained.run)
    assert told["score"] == {"name": "mean_iou", "words": "mean IoU"}
    assert told["best"]["step"] == told["step"] == told["planned_steps"] == 3
    assert told["ended"] is True
    (session,) = sessions_of(told)
    assert (session["first_step"], session["last_step"]) == (0, 3) and session["device"] == "cpu"
    assert 0 < session["evaluating_seconds"] < session["seconds"] < 100
    assert session["peak_memory"] > 2**20 and session["memory_of"] == "process"


def test_sessions_add_up_where_a_run_goes_on(call, trained, tmp_path):
    run, constant = tmp_path / "run", ["--optimizer.power=0", "--optimizer.warmup_steps=0"]
    assert call(*fit_arguments(trained.data, run, *constant)).code == 0
    result = call(*fit_arguments(trained.data, run, *constant, "--resume", "--trainer.max_epochs=2"))
    assert result.code == 0, result.err
    told = read_run_file(run)
    assert [(s["first_step"], s["last_step"]) for s in sessions_of(told)] == [(0, 3), (3, 6)]
    assert told["step"] == told["planned_steps"] == 6


@pytest.mark.parametrize("content", ["", "[]", "{", '{"written_by": "other"}', "[" * 100_000])
def test_what_is_no_run_json_says_nothing(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    assert read_run_file(tmp_path) == {}


@pytest.mark.parametrize("sessions", [None, 3, [None], [{"seconds": 1}], [{"first_step": "0"}]])
def test_damaged_sessions_are_left_out(sessions, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"written_by": "subquad fit", "sessions": sessions}))
    assert sessions_of(read_run_file(tmp_path)) == []
