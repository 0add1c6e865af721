"""`subquad fit` and `test` of sequence networks: a user's own table, every recipe, wrong input."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from cli_helpers import contents
from nightly import some_by_day
from subquad.models import load_model, model_config
from subquad.tasks.fitting import fit_parser
from subquad.tasks.sequences.data import SequenceInfo
from subquad.tasks.sequences.network import SequenceModelOptions, resolve
from subquad.tasks.sequences.task import TASK

RECIPES = sorted((Path(__file__).parents[3] / "recipes" / "sequences").glob("*.yaml"))
SMALL = [
    "--model.name=paramixer_genome", "--model.pooling=mean", "--model.dim=8", "--model.hidden=8",
    "--trainer.accelerator=cpu", "--trainer.max_epochs=1",
]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    """A table of 60 words with more A than C, or not."""
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("ACGT"), rng.integers(3, 30))) for _ in range(60)]
    lines = [f"{row},{'cat' if row.count('A') > row.count('C') else 'dog'}" for row in rows]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["text,species", *lines]) + "\n")
    return path


def fit_table(table, output, *extra):
    columns = "--data.sequence_column=text", "--data.label_column=species"
    return "fit", *SMALL, f"--data.file={table}", *columns, f"--output={output}", *extra


def test_a_table_of_one_s_own_is_trained_and_tested(table, tmp_path, call):
    run = tmp_path / "run"
    trained = call(*fit_table(table, run))
    assert trained.code == 0, trained.err
    assert "area under the ROC curve" in trained.out
    config = load_model(run / "best.safetensors").config
    assert (config.class_names, config.num_classes, config.regression) == (("cat", "dog"), 2, False)
    tested = call("test", run, "--json", run / "scores.json")  # the folder tells which data
    assert tested.code == 0, tested.err
    scores = json.loads((run / "scores.json").read_text())
    assert scores["count"] == 6
    assert f"{100 * scores['accuracy']:.2f} %" in tested.out
    again = call("fit", "--config", run / "config.yaml", "--output", tmp_path / "again")
    assert again.code == 0, again.err
    assert contents(run)["best.safetensors"] == contents(tmp_path / "again")["best.safetensors"]


@pytest.mark.slow
@pytest.mark.compile
def test_a_compiled_network_is_trained_alike(table, tmp_path, call):
    """Widths of batches and the size of the last one change: new shapes are compiled too."""
    for name, extra in (("eager", ()), ("compiled", ("--compile=true",))):
        # A compiled network draws it from another generator.
        small = "--model.dropout=0", "--model.block_dropout=0", "--model.factors=2"
        result = call(*fit_table(table, tmp_path / name, *small, *extra))
        assert result.code == 0, result.err
        assert call("test", tmp_path / name, "--json", tmp_path / f"{name}.json").code == 0
    eager, compiled = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("eager", "compiled"))
    assert compiled["loss"] == pytest.approx(eager["loss"], rel=1e-4)


def test_numbers_are_predicted_from_numbers(tmp_path, call):
    rng = np.random.default_rng(0)
    lines = [{"signal": rng.normal(size=(int(n), 2)).tolist(), "height": float(n)} for n in range(2, 32)]
    path = tmp_path / "signals.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = call(
        "fit", *SMALL, f"--data.file={path}", "--data.sequence_column=signal", "--data.label_column=height",
        "--data.tokens=numbers", "--data.task=regression", "--data.batch_size=4",
        f"--output={tmp_path / 'run'}",
    )  # fmt: skip
    assert result.code == 0, result.err
    config = load_model(tmp_path / "run" / "best.safetensors").config
    assert (config.vocab_size, config.in_features, config.regression, config.num_classes) == (
        None,
        2,
        True,
        1,
    )


def test_help_tells_the_options_of_the_network_s_kind(call):
    of_sequences = call("fit", "--model.name", "paramixer_text", "--help", "all")
    assert "--model.pooling" in of_sequences.out
    assert "--data.sequence_column" in of_sequences.out
    assert (
        "--data.crop CROP" not in call("fit", "--help", "all").out
        or "--model.pooling" not in call("fit", "--help", "all").out
    )


@pytest.mark.parametrize(
    ("extra", "quoting"),
    [
        (["--data.label_column=kind"], ["'kind'", "'text', 'species'"]),
        (["--model.num_classes=5"], ["--model.num_classes 5", "2 classes (cat, dog"]),
        (["--data.task=regression"], ["row 2", "'cat' is no finite number"]),
        (["--model.pooling=max"], ["pooling", "max"]),
        (["--model.pooling=cls"], ["reads the first position", "--data.cls true"]),
        (["--model.positions=true", "--model.length=4"], ["--model.length 4", "--data.length 4"]),
        (["--data.file=missing.csv"], ["missing.csv"]),
        (["--seed=-1"], ["--seed must be 0 or more, got -1"]),
        (["--model.name=paramixer_tex"], ["'paramixer_tex'", "paramixer_text"]),
        (["--data.crop=[64,64]"], ["crop"]),
    ],
)
def test_wrong_input_gets_one_sentence(table, tmp_path, complains, extra, quoting):
    complains(*fit_table(table, tmp_path / "run", *extra), quoting=quoting)
    assert not (tmp_path / "run").exists()


def test_an_empty_row_is_named(table, tmp_path, complains):
    table.write_text("text,species\nACGT,cat\n,dog\n")
    complains(*fit_table(table, tmp_path / "run"), quoting=["row 3", "the sequence is empty"])


def test_a_checkpoint_meets_other_data(table, tmp_path, call, complains):
    run = tmp_path / "run"
    assert call(*fit_table(table, run)).code == 0
    other = tmp_path / "other.csv"
    other.write_text(table.read_text().replace("dog", "fox"))
    complains("test", run, f"--data.file={other}", quoting=["cat, dog", "cat, fox"])
    narrow = tmp_path / "narrow.csv"
    narrow.write_text(table.read_text().replace("G", "A").replace("T", "A"))
    complains("test", run, f"--data.file={narrow}", quoting="give the data it was trained for")
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(table.read_text().replace("A", "B"))
    complains("test", run, f"--data.file={renamed}", quoting=["is not 'B' as in the data"])
    complains(*fit_table(table, run), quoting="holds a run already")


def test_a_table_is_looked_over(table, tmp_path, call, complains):
    columns = "--sequence_column=text", "--label_column=species"
    report = call("data", "check", table, *columns)
    assert report.code == 0, report.err
    assert "2 classes" in report.out
    assert "problems: none" in report.out
    table.write_text(table.read_text() + ",dog\n")
    sentence = complains("data", "check", table, *columns)
    assert "1 problem(s), see above" in sentence
    complains("data", "check", tmp_path / "no.csv", "--format=csv", quoting="no.csv")
    complains("data", "check", table, quoting=["'sequence'", "'text', 'species'"])
    complains("data", "check", tmp_path, "--format=cvs", quoting=["'cvs'", "csv"])
    assert "--sequence_column" in call("data", "check", table, "--help").out


@pytest.mark.parametrize(
    "recipe",
    some_by_day(RECIPES, lambda recipe: not recipe.stem.endswith(("_modern", "_cls"))),
    ids=lambda path: path.stem,
)
def test_every_recipe_takes_two_steps(recipe, tmp_path, call):
    options = fit_parser(TASK).parse_args([f"--config={recipe}"])
    tiny = [
        "--data.batch_size=2", "--data.eval_batch_size=2", "--trainer.max_steps=2",
        "--trainer.accelerator=cpu",
        "--trainer.val_check_interval=2", "--trainer.limit_val_batches=1",
        f"--output={tmp_path / 'run'}",
        *places(options.data.name, tmp_path),
    ]  # fmt: skip
    result = call("fit", "--config", recipe, *tiny)
    assert result.code == 0, result.err


def places(name, folder):
    """Return the options that tell where tiny data are, which are made here."""
    rng = np.random.default_rng(0)
    if name in ("adding", "order"):
        return ["--data.samples=4", "--data.eval_samples=2", "--data.length=16"]
    if name in ("listops", "pathfinder"):
        return ["--data.samples=4", "--data.eval_samples=2"] + ["--data.length=40"] * (name == "listops")
    if name == "text":
        for split in ("train", "test"):
            for label in ("pos", "neg"):
                (folder / split / label).mkdir(parents=True)
                for index in range(6):
                    (folder / split / label / f"{index}_7.txt").write_text(f"{label} review {split} {index}")
        return [f"--data.root={folder}", "--data.length=64"]
    if name == "image":
        for file in [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]:
            images = rng.integers(0, 256, (20, 3073), np.uint8)
            images[:, 0] = np.arange(20) % 10
            images.tofile(folder / file)
        return [f"--data.root={folder}"]
    words = {"long_document": ("cs.AI", "math.GR", ".txt"), "genome": ("human", "fly", ".fa")}[name]
    for label in words[:2]:
        (folder / "set" / label).mkdir(parents=True)
        for index in range(10):
            letters = "".join(rng.choice(list("ACGT"), 60))
            text = f">{label}{index}\n{letters}\n" if name == "genome" else f"{label} {letters}"
            (folder / "set" / label / f"{index}{words[2]}").write_text(text)
    return [f"--data.root={folder / 'set'}", "--data.length=64"] + ["--data.min_length=1"] * (
        name == "genome"
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_says_what_it_claims_and_how_to_run_it(recipe):
    header = [line[1:].strip() for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert any(word in " ".join(header) for word in ("Published:", "Claim:", "No number is claimed"))
    commands = [line[line.index("subquad fit") :] for line in header if "subquad fit --config" in line]
    assert commands
    for command in commands:
        assert f"recipes/sequences/{recipe.name}" in command
        fit_parser(TASK).parse_args(shlex.split(command.replace("recipes/", f"{recipe.parents[1]}/"))[2:])


# Spec 2.4: what the published networks were trained with.
TRAINED = {
    "adding": (1e-3, 40, 50, 1.0),
    "order": (1e-3, 40, 30, 1.0),
    "listops": (1e-3, 48, 150, None),
    "image": (1e-3, 64, 150, None),
    "pathfinder": (1e-3, 64, 100, None),
    "text": (1e-4, 32, 200, None),
    "long_document": (1e-4, 16, 50, 1.0),
    "genome": (1e-4, 16, 200, 1.0),
}


@pytest.mark.parametrize("task", TRAINED)
def test_published_recipes_are_the_spec_s(task):
    recipe = next(path for path in RECIPES if path.stem == task)
    options = fit_parser(TASK).parse_args([f"--config={recipe}"])
    optimizer = fit_parser(TASK).instantiate(options).optimizer
    found = (
        optimizer.lr,
        options.data.batch_size,
        options.trainer.max_epochs,
        options.trainer.gradient_clip_val,
    )
    assert found == TRAINED[task]
    assert (optimizer.weight_decay, optimizer.kind) == (0, "adamw")  # without decay, AdamW is Adam
    assert {optimizer.factor(step, 1000) for step in range(1000)} == {1.0}


def test_the_data_tell_the_network_what_it_must_know():
    class Data:
        num_classes, class_names, vocab_size, in_features, length = 3, ("a", "b", "c"), 12, None, 77
        task, cls, vocabulary = "classification", True, None
        info = SequenceInfo(task, length, class_names)

    config = resolve(SequenceModelOptions(name="paramixer_text", dim=6), Data())
    assert (config.num_classes, config.vocab_size, config.length, config.dim) == (3, 12, 77, 6)
    assert config.hidden == model_config("paramixer_text").hidden
