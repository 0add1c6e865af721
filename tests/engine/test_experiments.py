"""Experiments as files: what is read, what is refused, lines that are whole, tables that follow from them."""

import json
import multiprocessing
import statistics
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from subquad.base import locks
from subquad.base.table import markdown
from subquad.engine.experiment import experiment_names, experiments_folder, read_experiment
from subquad.engine.experiment_plot import plot_cases, plot_lines
from subquad.engine.experiment_results import (
    add_line,
    case_table,
    finite,
    is_of,
    key_of,
    read_lines,
)

ROOT = Path(__file__).parents[2]
ALL = experiment_names(ROOT / "experiments")
SMALL = """
question: Does it?
recipe: scenes_light_ham.yaml
cases:
  with: [--model.grad_steps=1]
  without: [--model.context=none]
seeds: [0, 1]
columns: {iou disk: disks, seconds: s}
"""


@pytest.fixture
def written(tmp_path):
    """Write an experiment and return its folder's parent."""

    def write(text=SMALL, name="small"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "experiment.yaml").write_text(text)
        return tmp_path

    return write


def line(case, seed, value, **more):
    options = {"with": ["--model.grad_steps=1"], "without": ["--model.context=none"]}.get(case, [])
    key = {"recipe": "scenes_light_ham.yaml", "options": options}
    return {"case": case, "seed": seed, "mean_iou": value, **key, **more}


def test_a_file_is_read_as_it_stands(written):
    experiment = read_experiment(written(), "small")
    assert experiment.cases == {"with": ("--model.grad_steps=1",), "without": ("--model.context=none",)}
    assert experiment.seeds == (0, 1) and experiment.name == "small"
    assert experiment.results == written() / "small" / "results.jsonl"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("question: Does it?", ""), "asks nothing"),
        (("recipe: scenes_light_ham.yaml", ""), "no `recipe`"),
        (("question:", "qestion:"), "'qestion'. Did you mean 'question'"),
        (("[--model.grad_steps=1]", "--model.grad_steps=1"), "case 'with' .* must be a list"),
        (("[--model.grad_steps=1]", "[1]"), "case 'with' .* must be a list"),
        (("seeds: [0, 1]", "script: [run.py]"), "not both"),
        (("seeds: [0, 1]", "seeds: [a]"), "seeds of .* must be a list of seeds"),
        (("seeds: [0, 1]", "seeds: []"), "seeds of .* must be a list of seeds"),
        (("seeds: [0, 1]", "seeds: 3"), "seeds of .* must be a list of seeds"),
        (("seeds: [0, 1]", "options: [1]"), "options of .* must be a list of texts"),
        (("seeds: [0, 1]", "percent: 3"), "percent of .* must be true or false"),
        (("seeds: [0, 1]", "score: [a]"), "score of .* must be a text"),
        (("columns: {iou disk: disks, seconds: s}", "columns: [a]"), "columns of .* must be a table"),
        (("seeds: [0, 1]", "picture: {score: ms, rows: a}"), "picture of .* no use for 'rows'. Did you mean"),
        (("seeds: [0, 1]", "picture: {score: ms}"), "picture of .* needs `score` and `row`, got score"),
    ],
)
def test_what_is_no_experiment_is_told(written, change, told):
    with pytest.raises(ValueError, match=told):
        read_experiment(written(SMALL.replace(*change)), "small")


def test_an_unknown_name_is_told_with_the_known_ones(written):
    with pytest.raises(ValueError, match="no experiment 'smal'. Did you mean 'small'.* There are small"):
        read_experiment(written(), "smal")
    with pytest.raises(ValueError, match="no folder of experiments"):
        experiments_folder(written() / "nowhere")


def test_rows_are_means_and_deviations_of_the_seeds(written):
    experiment = read_experiment(written(), "small")
    iou = {"gold disk": 0.5, "teal disk": 0.7, "ground": 0.9, "marker": None}
    lines = [line("with", 1, 0.75, iou=iou, seconds=10), line("with", 0, 0.5, iou=iou, seconds=30)]
    lines += [line("another", 0, 0.1)]
    heading, row = case_table(experiment, lines)
    assert heading == ["case", "mean IoU, %", "each seed", "disks", "s"]
    deviation = statistics.stdev([50, 75])
    assert row == ["with", f"62.5 ± {deviation:.1f}", "50.0, 75.0", "60.0 ± 0.0", "20.0 ± 14.1"]
    assert markdown([heading, row]).splitlines()[1] == "| --- | --: | --: | --: | --: |"
    assert markdown([["case", "a|b"]]).splitlines()[0] == "| case | a\\|b |"


def test_one_seed_has_no_deviation_and_a_missing_number_no_cell(written):
    experiment = read_experiment(written(), "small")
    assert case_table(experiment, [line("without", 0, 0.5)])[1] == ["without", "50.0", "50.0", "", ""]


@pytest.mark.parametrize(
    "other",
    [
        {"options": ["--model.grad_steps=2"]},
        {"recipe": "another.yaml"},
        {"best": True},
        {"mean_iou": None},
        {"seed": 0},
    ],
)
def test_a_line_of_another_training_is_in_no_row(written, other):
    """Nor is a second one of the same: two processes may have trained it."""
    experiment = read_experiment(written(), "small")
    lines = [line("with", 0, 0.5), {**line("with", 1, 0.9), **other}]
    assert case_table(experiment, lines) == case_table(experiment, lines[:1])


def test_a_later_line_of_other_settings_takes_the_place_of_an_earlier_one(written):
    """A recipe or a default has changed, and the training was made anew."""
    experiment = read_experiment(written(), "small")
    old, new = ({**line("with", 0, score), "settings": name} for score, name in ((0.5, "old"), (0.9, "new")))
    before = line("with", 0, 0.1)  # settings were noted
    again = {**new, "mean_iou": 0.95}
    for lines in ([old, new], [before, old, new], [old, new, again]):
        assert case_table(experiment, lines) == case_table(experiment, [new])


def test_the_order_of_options_makes_no_other_training(written):
    experiment = read_experiment(written(SMALL + "options: [--a=1, --b=2]\n"), "small")
    key = key_of(experiment, "with", 0)
    assert is_of({**key, "options": key["options"][::-1]}, key)
    assert not is_of({**key, "options": key["options"][:-1]}, key)
    assert not is_of({**key, "settings": "old"}, {**key, "settings": "new"})
    assert is_of(key, {**key, "settings": "new"})  # a line of before they were noted
    assert key_of(experiment, "with", 0, altered=True)["altered"] == "small: with"


def test_what_is_not_finite_is_not_known():
    found = finite({"a": 1.5, "b": float("inf"), "c": [1, float("nan")], "d": {"e": float("-inf")}, "f": "x"})
    assert found == {"a": 1.5, "b": None, "c": [1, None], "d": {"e": None}, "f": "x"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_no_result(tmp_path, value):
    path = tmp_path / "results.jsonl"
    add_line(path, line("with", 0, 0.5))
    with pytest.raises(ValueError, match="not finite"):
        add_line(path, line("with", 1, value))
    assert len(read_lines(path)) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "line 2 .* no JSON .*; remove that line"),
        ("[1]", "line 2 .* no result, but .*; remove that line"),
        ('{"case": "with", "seed": 1, "mean_iou": NaN}', r"line 2 .* no JSON \(NaN is no result\)"),
    ],
)
def test_a_damaged_line_is_told_by_its_number(tmp_path, text, told):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(line("with", 0, 0.5)) + "\n" + text + "\n")
    with pytest.raises(ValueError, match=told):
        read_lines(path)


def test_empty_lines_are_no_results(tmp_path):
    path = tmp_path / "results.jsonl"
    add_line(path, line("with", 0, 0.5))
    path.write_text(path.read_text() + "\n  \n")
    add_line(path, line("with", 1, 0.5))
    assert [found["seed"] for found in read_lines(path)] == [0, 1]


def _add(path, first, both_are_there, has_locks):
    if not has_locks:
        locks.fcntl = None
    both_are_there.wait(60)
    for seed in range(first, first + 50):
        add_line(path, line("with", seed, 0.5, padding="x" * 30_000))


@pytest.mark.parametrize("has_locks", [True, False])
def test_lines_of_two_processes_do_not_mix(tmp_path, has_locks):
    """Who adds sees no half line of the other's; where there are no locks, an empty line may part them."""
    path = tmp_path / "results.jsonl"
    context = multiprocessing.get_context("spawn")
    both_are_there = context.Barrier(2)
    both = [
        context.Process(target=_add, args=(path, first, both_are_there, has_locks)) for first in (0, 1000)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(found["seed"] for found in read_lines(path)) == [*range(50), *range(1000, 1050)]
    if has_locks:
        assert len(path.read_text().splitlines()) == 100


def test_the_picture_shows_what_there_is(written, tmp_path):
    experiment = read_experiment(written(), "small")
    assert not plot_cases(experiment, [], tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()
    assert plot_cases(experiment, [line("with", 0, 0.5), line("with", 1, 0.6)], tmp_path / "some.svg")
    assert "<svg" in (tmp_path / "some.svg").read_text()


def test_a_picture_of_lines_has_a_panel_a_row_and_a_color_for_what_it_names(written, tmp_path, monkeypatch):
    names = "picture: {score: ms, row: case, panel: map, hue: steps}"
    experiment = read_experiment(written(SMALL.replace("seeds: [0, 1]", names)), "small")
    lines = [
        {"case": case, "map": place, "steps": steps, "ms": ms}
        for place, case, steps, ms in (
            ("here", "a", 0, 1.0), ("here", "b", 0, 2.0), ("here", "b", None, 4.0), ("there", "b", 0, 3.0)
        )
    ]  # fmt: skip
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    assert plot_lines(experiment, [*lines, {"case": "c", "ms": None}, {"ms": 5.0}], tmp_path / "some.svg")
    here, there = figures[0].axes
    assert [text.get_text() for text in here.get_yticklabels()] == ["a", "b"]
    drawn = [[(*map(list, one.get_data()),) for one in axes.lines] for axes in (here, there)]
    assert drawn == [[([1.0, 2.0], [0, 1]), ([4.0], [1])], [([3.0], [1]), ([], [])]]
    assert [axes.get_title() for axes in (here, there)] == ["map: here", "map: there"]
    assert [text.get_text() for text in there.get_legend().texts] == ["steps 0", "steps none"]
    assert not plot_lines(experiment, [{"case": "c", "ms": None}], tmp_path / "none.svg")
    many = [{"case": "c", "map": "here", "ms": 0.0, "steps": steps} for steps in range(5)]
    assert plot_lines(experiment, many[:4], tmp_path / "some.svg")
    with pytest.raises(ValueError, match="steps has 5 values"):
        plot_lines(experiment, many, tmp_path / "some.svg")


@pytest.mark.parametrize("name", ALL)
def test_an_experiment_of_ours_has_what_it_shows_and_results_of_its_cases(name):
    """Every line is of a case that is there, with its options, and the prose comes with the results."""
    experiment = read_experiment(ROOT / "experiments", name)
    lines = read_lines(experiment.results) if experiment.cases else []
    for found in lines:
        assert found["options"] == [*experiment.options, *experiment.cases[found["case"]]]
        if "experiment" in found:  # lines of before `subquad reproduce` have what was written down then
            assert found["commit"] and found["device"] and found["seconds"] > 0
        assert found["device"] and (found.get("commit") or found.get("recorded"))
        assert 0 <= found[experiment.score] <= 1 or not experiment.percent
    keys = [(found["case"], found["seed"]) for found in lines]
    assert len(keys) == len(set(keys))
    if lines:
        assert experiment.shows
    for named in experiment.picture.values():
        assert any(named in found for found in read_lines(experiment.results))
    if experiment.recipe:
        assert (ROOT / "recipes" / experiment.recipe).is_file()
