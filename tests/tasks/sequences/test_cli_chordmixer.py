"""`subquad fit --model.name chordmixer` learns from every kind of sequences."""

import json

import pytest

from subquad import load_model

SMALL = (
    "--model.name=chordmixer", "--model.dim=12", "--model.hidden=8", "--data.eval_samples=8",
    "--data.batch_size=4", "--trainer.max_steps=2", "--report_samples=0",
)  # fmt: skip
MADE = {
    "adding": ["--data.length=20"],
    "order": ["--data.length=20"],
    "listops": ["--data.length=60"],
    "pathfinder": ["--data.difficulty=easy"],
}


@pytest.mark.parametrize("name", MADE)
def test_made_sequences(name, tmp_path, call):
    trained = call(
        "fit", *SMALL, f"--data.name={name}", "--data.samples=8", *MADE[name], f"--output={tmp_path}"
    )
    assert trained.code == 0, trained.err
    config = load_model(tmp_path / "best.safetensors").config
    assert config.context == "chordmixer" and config.regression == (name == "adding")


@pytest.mark.parametrize("tokens", ["numbers", "characters"])
def test_a_table_of_sequences_of_different_lengths(tokens, tmp_path, call):
    numbers = [[n, *[1e4 * n] * (n % 7)] for n in range(40)]
    cells = numbers if tokens == "numbers" else [" ".join(map(str, cell)) for cell in numbers]
    rows = [{"sequence": cell, "label": str(n % 2)} for n, cell in enumerate(cells)]
    table = tmp_path / "mine.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    run = tmp_path / "run"
    trained = call("fit", *SMALL, f"--data.file={table}", f"--data.tokens={tokens}", f"--output={run}")
    assert trained.code == 0, trained.err
    tested = call("test", run, "--json", run / "scores.json")
    assert tested.code == 0, tested.err
    assert json.loads((run / "scores.json").read_text())["count"] == 4
