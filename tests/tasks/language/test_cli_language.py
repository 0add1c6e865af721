"""`subquad fit`, `test` and `predict` of text: from files to scores, exactly resumed, wrong input."""

import csv
import json
import shlex
from pathlib import Path

import pytest
import torch

from cli_helpers import contents
from subquad.base.interruption import Interrupted
from subquad.models import load_model
from subquad.tasks.fitting import fit_parser
from subquad.tasks.language.learner import LanguageLearner
from subquad.tasks.language.task import TASK
from toy_language import SMALL, TEXT, text, toy  # noqa: F401

pytestmark = pytest.mark.usefixtures("toy")
RECIPES = sorted((Path(__file__).parents[3] / "recipes" / "language").glob("*.yaml"))


def fit(text, output, *extra):  # noqa: F811
    return "fit", *SMALL, f"--data.file={text}", f"--output={output}", *extra


def test_a_text_is_trained_on_tested_and_predicted(text, tmp_path, call):  # noqa: F811
    run = tmp_path / "run"
    trained = call(*fit(text, run))
    assert trained.code == 0, trained.err
    assert "bits per byte" in trained.out and "what the past is worth" in trained.out
    config = load_model(run / "best.safetensors").config
    assert (config.vocab_size, config.tokens, config.context, config.factor_count) == (257, "bytes", 16, 4)
    tested = call("test", run, "--json", run / "scores.json")  # the folder tells which text
    assert tested.code == 0, tested.err
    scores = json.loads((run / "scores.json").read_text())
    assert scores["bits_per_byte"] < 8
    assert scores["tokens"] == pytest.approx(len(TEXT) / 10, rel=0.02)
    wider = call("test", run, "--data.context=40", "--json", run / "wider.json")
    assert wider.code == 0, wider.err
    wide = json.loads((run / "wider.json").read_text())
    assert wide["tokens"] == scores["tokens"]
    assert wide["by_position"][-1] | {"tokens": 0, "loss": 0} == {
        "first": 32,
        "last": 40,
        "tokens": 0,
        "loss": 0,
    }
    (tmp_path / "new.jsonl").write_text('{"body": "one"}\n{"body": "two and three"}\n')
    table = tmp_path / "costs.csv"
    predicted = call("predict", run, tmp_path / "new.jsonl", "--field=body", f"--output={table}")
    assert predicted.code == 0, predicted.err
    refused = call("predict", run, tmp_path / "new.jsonl", f"--output={tmp_path / 'none.csv'}")
    assert refused.err.endswith("it has body; name the one with the text (--field).\n")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["bytes"], row["tokens"]) for row in rows] == [("3", "4"), ("13", "14")]
    assert all(0 < float(row["bits per byte"]) < 20 for row in rows)


def test_a_tokenizer_is_learned_and_travels_with_the_weights(text, tmp_path, call):  # noqa: F811
    pytest.importorskip("tokenizers")
    run = tmp_path / "run"
    trained = call(*fit(text, run, "--data.vocab_size=300"))
    assert trained.code == 0, trained.err
    weights = tmp_path / "alone.safetensors"
    weights.write_bytes((run / "best.safetensors").read_bytes())
    assert load_model(weights).config.vocab_size == 300
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9 " * 99)
    for asked in (
        ["predict", weights, latin],
        ["test", weights, f"--data.test_file={latin}", f"--data.file={text}"],
    ):
        refused = call(*asked)
        assert "save it as UTF-8, as the tokenizer of the network needs it" in refused.err
    tested = call(
        "test", weights, f"--data.file={text}", "--data.context=16", f"--json={tmp_path / 's.json'}"
    )
    assert tested.code == 0, tested.err
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["lossless"] and "no other tokenizer" not in trained.out + tested.out
    assert scores["bytes"] > 1.5 * scores["tokens"]
    assert scores["bits_per_byte"] == pytest.approx(
        scores["loss"] / 0.6931472 * scores["tokens"] / scores["bytes"]
    )


def test_scores_of_a_tokenizer_that_loses_text_say_so(text, tmp_path, call):  # noqa: F811
    """By far the best bits per byte, of a text that is hardly told."""
    pytest.importorskip("tokenizers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "t.json"))
    run = tmp_path / "run"
    trained = call(*fit(text, run, f"--data.tokenizer={tmp_path / 't.json'}"))
    assert trained.code == 0, trained.err
    tested = call("test", run, "--json", run / "scores.json")
    assert json.loads((run / "scores.json").read_text())["lossless"] is False
    predicted = call("predict", run, text, f"--output={tmp_path / 'p.csv'}")
    for result in (trained, tested, predicted):
        assert "compare with those of no other tokenizer" in result.out


def test_an_interrupted_run_ends_as_if_it_had_not_been(text, tmp_path, call, monkeypatch):  # noqa: F811
    """Random windows, dropout and the moving average: everything random is on."""
    random = "--model.dropout=0.2", "--ema=0.9", "--save_every=1"
    assert call(*fit(text, tmp_path / "whole", *random)).code == 0
    step = LanguageLearner.on_train_batch_start

    def interrupt(self, batch, batch_idx):
        if batch_idx == 4:
            raise Interrupted(15, "killed.")
        step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(LanguageLearner, "on_train_batch_start", interrupt)
        assert call(*fit(text, tmp_path / "parts", *random)).code == 143
    resumed = call(*fit(text, tmp_path / "parts", *random), "--resume")
    assert resumed.code == 0, resumed.err
    for weights in ("best.safetensors", "last.safetensors"):
        assert contents(tmp_path / "whole")[weights] == contents(tmp_path / "parts")[weights]


def test_another_text_is_not_gone_on_with(text, tmp_path, call, complains):  # noqa: F811
    assert call(*fit(text, tmp_path / "run")).code == 0
    text.write_text(TEXT.replace("wall", "hall"))
    complains(*fit(text, tmp_path / "run"), "--resume", "--trainer.max_steps=8", quoting="train")


def test_low_precision_is_near(text, tmp_path, call):  # noqa: F811
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        run = tmp_path / precision
        trained = call(*fit(text, run, f"--trainer.precision={precision}"))
        assert trained.code == 0, trained.err
        assert call("test", run, "--json", run / "s.json").code == 0
        found[precision] = json.loads((run / "s.json").read_text())["bits_per_byte"]
    assert found["bf16-mixed"] == pytest.approx(found["32-true"], rel=0.02)


@pytest.mark.slow
@pytest.mark.compile
def test_a_compiled_network_is_trained_alike(text, tmp_path, call):  # noqa: F811
    found = []
    for name, extra in (("eager", ()), ("compiled", ("--compile=true",))):
        small = "--trainer.max_steps=3", "--data.context=4", "--model.depth=1"
        result = call(*fit(text, tmp_path / name, *small, *extra))
        assert result.code == 0, result.err
        assert call("test", tmp_path / name, "--json", tmp_path / f"{name}.json").code == 0
        found.append(json.loads((tmp_path / f"{name}.json").read_text())["loss"])
    assert found[1] == pytest.approx(found[0], rel=1e-4)


@pytest.mark.parametrize(
    ("extra", "quoting"),
    [
        (["--data.context=100000"], ["a window has context=100000", "--data.context"]),
        (["--data.context=0"], ["context must be at least 1, got 0"]),
        (["--data.batch_size=100000"], ["fewer than one batch of 100000"]),
        (["--data.vocab_size=100"], ["vocab_size must be 258 at least, got 100"]),
        (["--data.tokenizer=missing.json"], ["missing.json"]),
        (["--data.file=missing.txt"], ["missing.txt", "wall.txt"]),
        (["--model.pattern=[papamixer]"], ["'papamixer', which is no mixer", "paramixer"]),
        (["--model.heads=5", "--model.pattern=[ham]"], ["heads must divide dim = 16, got 5"]),
        (["--data.val_fraction=0"], ["there is no text of val", "--data.val_file"]),
        (["--seed=-1"], ["--seed must be 0 or more, got -1"]),
        (["--task=language", "--model.name=paramixer"], ["--task language", "of the task sequences"]),
    ],
)
def test_wrong_input_gets_one_sentence(text, tmp_path, complains, monkeypatch, extra, quoting):  # noqa: F811
    monkeypatch.chdir(text.parent)
    complains(*fit(text, tmp_path / "run", *extra), quoting=quoting)
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_what_is_tested_must_be_text(text, tmp_path, call, complains):  # noqa: F811
    run = tmp_path / "run"
    assert call(*fit(text, run, "--data.test_fraction=0")).code == 0
    complains("test", run, quoting=["no text of test", "--data.test_file"])
    complains("predict", run, tmp_path / "none.txt", f"--output={tmp_path / 'p.csv'}", quoting="none.txt")
    complains("predict", run, text, f"--output={text}", quoting="would be replaced")
    weights = load_model(run / "best.safetensors")
    assert not weights.training and torch.isfinite(weights(torch.zeros(1, 2, dtype=torch.int64))).all()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_takes_two_steps_and_says_how_to_run_it(recipe, text, tmp_path, call):  # noqa: F811
    header = [line[1:].strip() for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert any(word in " ".join(header) for word in ("Claim:", "No number is claimed"))
    commands = [line[line.index("subquad fit") :] for line in header if "subquad fit --config" in line]
    assert commands
    for command in commands:
        fit_parser(TASK).parse_args(shlex.split(command.replace("recipes/", f"{recipe.parents[1]}/"))[2:])
    result = call(
        "fit", "--config", recipe, "--data.name=text", f"--data.file={text}", "--data.context=16",
        "--data.batch_size=2", "--data.eval_batch_size=2", "--trainer.max_steps=2",
        "--trainer.accelerator=cpu",
        "--trainer.val_check_interval=2", "--trainer.limit_val_batches=1", "--report_samples=0",
        f"--output={tmp_path / 'run'}",
    )  # fmt: skip
    assert result.code == 0, result.err
