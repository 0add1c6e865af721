"""`subquad reproduce`: lists, refuses in a sentence, trains what is missing and nothing twice."""

import json
import os
from pathlib import Path

import pytest

from subquad.cli.main import main
from subquad.engine.experiment import experiment_names
from subquad.engine.experiment_results import is_of, read_lines

ROOT = Path(__file__).parents[2]
OURS = ROOT / "experiments"
TINY = ["--data.length=8", "--data.batch_size=4", "--trainer.limit_val_batches=1", "--data.eval_batch_size=2"]
TINY += ["--model.ham_channels=32", "--model.channels=32", "--model.rank=4", "--optimizer.warmup_steps=1"]


@pytest.fixture
def experiments(tmp_path):
    """Two experiments that share a training, beside the recipes."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    for name, cases in {"first": {"a": [], "b": ["--model.context=none"]}, "second": {"as a": []}}.items():
        folder = tmp_path / "experiments" / name
        folder.mkdir(parents=True)
        file = {"question": f"{name}?", "recipe": "scenes_light_ham.yaml", "cases": cases, "options": TINY}
        (folder / "experiment.yaml").write_text(json.dumps({**file, "seeds": [0], "quick": ["--ema=0.5"]}))
    return tmp_path / "experiments"


def rewrite(experiments, name, **values):
    path = experiments / name / "experiment.yaml"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def reproduce(*arguments):
    return main(["reproduce", *map(str, arguments)])


def test_without_a_name_all_are_listed(capsys):
    assert reproduce("--experiments", OURS) == 0
    told = capsys.readouterr().out
    assert [text.split()[0] for text in told.splitlines()] == experiment_names(OURS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gradent"], "no experiment 'gradent'. Did you mean 'gradient'"),
        (["gradient", "--cases", "NMF, 7"], "no case 'NMF, 7'. Did you mean"),
        (["gradient", "--experiments", "/nowhere"], "/nowhere is no folder of experiments"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(arguments, told, capsys):
    if "--experiments" not in arguments:
        arguments = [*arguments, "--experiments", str(OURS)]
    assert reproduce(*arguments) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["sequences", "--seeds", "1"],
            "sequences is a script and takes no --seeds; give its own options to",
        ),
        (["sequences", "--output", "x"], "sequences is a script and takes no --output"),
        (["gradient", "--table", "--seeds", "1"], "--table shows all that has results; leave --seeds out"),
        (["gradient", "--table", "--cases", "NMF, 2"], "leave --cases out"),
        (["gradient", "--table", "--quick"], "leave --quick out"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(arguments, told, capsys):
    assert reproduce(*arguments, "--experiments", OURS) == 2
    assert told in capsys.readouterr().err


def test_no_experiment_is_taken_from_a_folder_that_is_not_ours(tmp_path, monkeypatch, capsys):
    """It may have code of its own, which nobody asked for."""
    planted = tmp_path / "experiments" / "gradient"
    planted.mkdir(parents=True)
    (planted / "experiment.yaml").write_text("question: planted\nscript: [x.py]\ntables: [tables.py]\n")
    (planted / "tables.py").write_text("print('foreign code ran')")
    monkeypatch.chdir(tmp_path)
    assert reproduce("gradient", "--table") == 0
    told = capsys.readouterr().out
    assert "planted" not in told and "foreign" not in told


def test_without_results_it_is_said_how_they_are_made(experiments, capsys):
    assert reproduce("first", "--table", "--experiments", experiments) == 0
    assert "No results yet: `subquad reproduce first` makes them." in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_told_before_anything_is_trained(experiments, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert reproduce("first", "--experiments", experiments, "--output", tmp_path / "file" / "x.jsonl") == 2
    captured = capsys.readouterr()
    assert "file" in captured.err and "subquad fit" not in captured.out


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_each_training_is_done_once_and_a_small_version_leaves_no_line(experiments, capsys):
    def lines(name):
        return read_lines(experiments / name / "results.jsonl")

    assert reproduce("first", "--experiments", experiments, "--quick", "--cases", "a") == 0
    assert not lines("first") and "| a |" in capsys.readouterr().out
    assert reproduce("first", "--experiments", experiments, "--cases", "a") == 0
    (first,) = lines("first")
    assert first["case"] == "a" and first["seed"] == 0 and first["options"] == TINY
    assert first["commit"] and first["device"] and first["seconds"] > 0 and 0 <= first["mean_iou"] <= 1
    assert reproduce("first", "--experiments", experiments, "--cases", "a") == 0
    assert lines("first") == [first]
    assert reproduce("second", "--experiments", experiments) == 0
    (second,) = lines("second")
    assert second == {**first, "case": "as a", "from": "first"}
    capsys.readouterr()
    assert reproduce("first", "--experiments", experiments, "--table") == 0
    assert f"| a | {100 * first['mean_iou']:.1f} |" in capsys.readouterr().out
    assert len(lines("first")) == 1  # a table trains nothing


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_a_measure_that_is_not_finite_leaves_the_score_and_an_altered_network_is_no_others(experiments):
    parts = (
        "ALTERED = {'a'}\ndef alter(network, case): pass\ndef measure(learner, options): return {'x': 1e999}"
    )
    (experiments / "first" / "parts.py").write_text(parts)
    assert reproduce("first", "--experiments", experiments, "--cases", "a") == 0
    (first,) = read_lines(experiments / "first" / "results.jsonl")
    assert first["x"] is None and 0 <= first["mean_iou"] <= 1 and first["altered"] == "first: a"
    assert reproduce("second", "--experiments", experiments) == 0
    (second,) = read_lines(experiments / "second" / "results.jsonl")
    assert second["experiment"] == "second"  # trained, not taken


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_the_parts_of_another_experiment_serve_and_missing_ones_are_told(experiments, capsys):
    rewrite(experiments, "second", parts="first")
    assert reproduce("second", "--experiments", experiments) == 2
    assert "second takes the parts of first, which has no parts.py" in capsys.readouterr().err
    (experiments / "first" / "parts.py").write_text("def measure(learner, options): return {'x': 7}")
    assert reproduce("second", "--experiments", experiments) == 0
    (line,) = read_lines(experiments / "second" / "results.jsonl")
    assert line["x"] == 7 and line["experiment"] == "second"


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_the_small_version_of_a_case_of_ours_runs_with_its_own_parts(capsys):
    """All of them run each night."""
    assert reproduce("gradient", "--quick", "--cases", "NMF, 2", "--experiments", OURS) == 0
    heading, _, row = capsys.readouterr().out.strip().splitlines()[-3:]
    assert "passed on" in heading and row.startswith("| NMF, 2 |") and "|  |" not in row


@pytest.mark.slow
@pytest.mark.parametrize("name", experiment_names(OURS))
def test_the_small_version_of_an_experiment_of_ours_runs(name, capfd):
    code = reproduce(name, "--quick", "--experiments", OURS)
    if code and "SUBQUAD_DATA" in capfd.readouterr().err and not os.environ.get("SUBQUAD_DATA"):
        pytest.skip(f"{name} is of real data: set SUBQUAD_DATA to their folder")
    assert code == 0


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_who_goes_back_to_an_older_recipe_gets_its_line_shown(experiments, capsys):
    """The line that tables show is of the present settings, whatever came between."""
    output = experiments / "first" / "results.jsonl"
    assert reproduce("first", "--experiments", experiments, "--cases", "a") == 0
    (now,) = read_lines(output)
    output.write_text(json.dumps(now) + "\n" + json.dumps({**now, "settings": "others", "mean_iou": 1}))
    assert reproduce("first", "--experiments", experiments, "--cases", "a") == 0
    assert f"| a | {100 * now['mean_iou']:.1f} |" in capsys.readouterr().out.splitlines()[-1]
    assert len(read_lines(output)) == 3  # also: the last line before had no end
    assert reproduce("first", "--experiments", experiments, "--cases", "a") == 0
    assert len(read_lines(output)) == 3


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_one_that_fails_keeps_no_other_from_being_trained(experiments, capsys):
    (experiments / "first" / "parts.py").write_text(
        "ALTERED = {'a'}\ndef alter(network, case):\n    if case == 'a': raise ValueError('it diverged')"
    )
    assert reproduce("first", "--experiments", experiments) == 2
    assert capsys.readouterr().err.endswith("of first failed a, seed 0: it diverged\n")
    assert [line["case"] for line in read_lines(experiments / "first" / "results.jsonl")] == ["b"]


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_a_score_that_is_not_measured_is_told_with_those_that_are(experiments, capsys):
    rewrite(experiments, "second", score="top1")
    assert reproduce("second", "--experiments", experiments) == 2
    error = capsys.readouterr().err
    assert "there is no 'top1' in what it measures: " in error and "mean_iou" in error
    assert not read_lines(experiments / "second" / "results.jsonl")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"cases": {"a": [], "c": [TINY[0]]}}, "the cases 'a' and 'c' of first have the same options"),
        ({"best": True}, "first scores the best weights (`best`), but"),
    ],
)
def test_what_could_not_be_told_apart_or_scored_is_refused_before_training(values, told, experiments, capsys):
    rewrite(experiments, "first", **values)
    (experiments / "first" / "parts.py").write_text("def alter(network, case): pass")
    assert reproduce("first", "--experiments", experiments) == 2
    captured = capsys.readouterr()
    assert told in captured.err and "subquad fit" not in captured.out


def test_a_small_version_is_small_whatever_a_case_says(experiments, capsys):
    """The options that make it small come last; these are refused by name."""
    rewrite(experiments, "first", cases={"a": ["--data.length=25600"]}, quick=["--data.length=-3"])
    assert reproduce("first", "--quick", "--experiments", experiments) == 2
    assert "-3" in capsys.readouterr().err


def test_of_an_option_that_is_given_twice_the_last_counts():
    one, two = ["--x=1", "--y=3", "--x=2"], ["--y=3", "--x=2", "--x=1"]
    assert is_of({"options": one}, {"options": ["--y=3", "--x=2"]})
    assert not is_of({"options": one}, {"options": two})
