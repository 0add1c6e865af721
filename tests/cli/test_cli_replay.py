"""A run that becomes NaN: what the shell sees, what is left, and the command that repeats the step."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from cli_helpers import fit_arguments

HUGE = ["--optimizer.lr=1e30", "--optimizer.warmup_steps=0", "--optimizer.power=0"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mine.csv"
    rows = [f"{'AACGT' * (i % 3 + 1)}{'C' * (i % 4)},{'cat' if i % 2 else 'dog'}" for i in range(40)]
    path.write_text("\n".join(["text,species", *rows]) + "\n")
    return path


def fit_table(table, output, *extra):
    return [
        "fit", "--model.name=paramixer_genome", "--model.pooling=mean", "--model.dim=8", "--model.hidden=8",
        "--trainer.accelerator=cpu", "--trainer.max_epochs=2", "--data.batch_size=4", f"--data.file={table}",
        "--data.sequence_column=text", "--data.label_column=species", f"--output={output}", *extra,
    ]  # fmt: skip


def all_finite(folder):
    for path in folder.glob("*.safetensors"):
        assert all(bool(tensor.isfinite().all()) for tensor in load_file(path).values()), path
    content = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    return all(bool(tensor.isfinite().all()) for tensor in content.values())


def test_a_segmentation_that_becomes_nan_is_said_and_repeated(call, complains, data, tmp_path):
    run = tmp_path / "run"
    arguments = fit_arguments(data, run, *HUGE, "--save_every=1", "--trainer.max_epochs=3")
    sentence = complains(*arguments, quoting=["training became NaN by step 1", "1e+30", "train", "replay"])
    path = run / "nan_batch.pt"
    assert f"subquad replay {path}" in sentence
    assert all_finite(run)
    result = call("replay", path)
    assert result.code == 0, result.err
    for part in ("the loss is not finite", "32-true", "1e+30", "nan", "it begins in the forward pass, in "):
        assert part in result.out
    assert complains("replay", path, "--device=nowhere", quoting="--device nowhere")
    path.write_bytes(path.read_bytes()[:5000])
    complains("replay", path, quoting=[str(path), "damaged"])
    complains("replay", run / "last.ckpt", quoting="no nan_batch.pt")
    complains("replay", tmp_path / "nothing.pt", quoting="there is no file")


def test_a_training_on_sequences_that_becomes_nan_is_no_success(call, complains, table, tmp_path):
    run = tmp_path / "run"
    complains(
        *fit_table(table, run, *HUGE, "--save_every=1", "--trainer.gradient_clip_val=null"),
        quoting=["training became NaN by step", "samples number", "--optimizer.lr"],
    )
    assert all_finite(run) and not (run / "last.safetensors").exists()
    assert "it beg" in call("replay", run / "nan_batch.pt").out


def test_the_last_line_names_the_score_that_chose(call, table, tmp_path):
    result = call(*fit_table(table, tmp_path / "run"))
    assert result.code == 0, result.err
    last = result.out.splitlines()[-1]
    assert last.startswith("weights with the best accuracy of all evaluations, ")
    assert " % at step " in last and last.endswith(str(tmp_path / "run" / "best.safetensors"))


@pytest.mark.slow
def test_two_processes_stop_together(table, tmp_path):
    command = fit_table(
        table, tmp_path / "run", *HUGE, "--trainer.strategy=ddp", "--trainer.devices=2",
        "--trainer.gradient_clip_val=null",
    )  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "subquad", *command],
        capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert "training became NaN by step" in ended.stderr and "Traceback" not in ended.stderr
    assert (tmp_path / "run" / "nan_batch.pt").is_file()


def test_what_autograd_finds_is_said_and_repeated(call, complains, data, tmp_path):
    """`--trainer.detect_anomaly` raises in the backward pass, before anything else looks."""
    run = tmp_path / "run"
    with pytest.warns(UserWarning, match="Error detected in"):
        complains(
            *fit_arguments(data, run, *HUGE, "--trainer.detect_anomaly=true", "--trainer.max_epochs=3"),
            quoting=["training became NaN by step 1", "returned nan values", "replay"],
        )
    assert "it begins in" in call("replay", run / "nan_batch.pt").out
