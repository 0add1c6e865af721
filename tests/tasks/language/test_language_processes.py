"""Text is trained on and tested by two processes as by one."""

import json
import os
import subprocess
import sys

import pytest

from toy_language import TEXT

SIZES = ("--model.dim=16", "--model.heads=2", "--model.paramixer_heads=4", "--data.context=32")
ON_CPU = "--trainer.accelerator=cpu"
TWO = (ON_CPU, "--trainer.devices=2", "--trainer.strategy=ddp")


def run(*arguments):
    command = [sys.executable, "-m", "subquad", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=240)


@pytest.mark.slow
def test_two_processes_train_and_agree_with_one(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT * 3)
    folder = tmp_path / "run"
    trained = run(
        "fit", "--task=language", f"--data.file={text}", *SIZES, "--data.batch_size=8",
        "--trainer.max_steps=3",
        f"--output={folder}", *TWO,
    )  # fmt: skip
    assert trained.stdout.count("what the past is worth") == 1  # one of them speaks
    found = []
    for devices in ((ON_CPU, "--trainer.devices=1"), TWO):
        scores = tmp_path / "scores.json"
        # Windows that do not divide evenly: each is counted once.
        run("test", folder, "--json", scores, "--data.eval_batch_size=7", *devices)
        found.append(json.loads(scores.read_text()))
        scores.unlink()
    assert found[0].pop("by_position") == [pytest.approx(row) for row in found[1].pop("by_position")]
    assert found[0] == pytest.approx(found[1])
