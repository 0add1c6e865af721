"""`subquad compare`: tables, curves, and whether runs differ by more than chance over images."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from classification_data import fit_classes, write_classes
from cli_helpers import CLASSES, reported_fit_arguments
from page_reader import LOADS, Page
from subquad.base.files import write_whole
from subquad.engine.sample_counts import load_counts
from subquad.models import load_model, save_model
from subquad.tasks import task_called


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory):
    """Another run on the data of `trained`."""
    from subquad.cli.main import main

    run = tmp_path_factory.mktemp("other") / "other"
    assert main(reported_fit_arguments(trained.data, run, "--seed=1", "--optimizer.lr=0.01")) == 0
    return run


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained.run, tmp_path / "first")


def titles(path):
    page = Page(path)
    assert not LOADS & set(page.tags)
    return " ".join(page.words)


def test_two_runs_side_by_side(call, run, other, tmp_path):
    page, scores = tmp_path / "c.html", tmp_path / "c.json"
    result = call("compare", run, other, "--output", page, "--json", scores)
    assert result.code == 0, result.err
    words = titles(page)
    for part in (
        "Is the difference real?",
        "Overview",
        "What differs in the options",
        "optimizer.lr",
        "Curves",
    ):
        assert part in words, part
    assert "chance over images" in result.out and "It says nothing about other seeds" in result.out
    for part in ("chosen by their score on these very", "frames of one video", "the sign turns"):
        assert part in words and (part in result.out or part == "the sign turns")
    assert all(name in result.out and name in words for name in CLASSES)
    told = json.loads(scores.read_text())
    (difference,) = told["differences"]
    first, second = (load_counts(folder / "evaluation.npz").score() for folder in (run, other))
    assert difference["value"] == pytest.approx(second - first) and difference["samples"] == 4
    assert difference["low"] <= difference["value"] <= difference["high"] and 0 < difference["p"] <= 1
    assert [one["counted"] for one in told["runs"]] == [first, second]
    assert told["runs"][1]["options"]["optimizer.lr"] == 0.01 and told["classes"][0]["name"] == "road"
    assert "but the interval is too short with so few images" in result.out


def test_a_run_against_itself_differs_by_nothing(call, run, tmp_path):
    result = call("compare", run, run, "--output", tmp_path / "c.html", "--json", tmp_path / "c.json")
    assert result.code == 0, result.err
    (difference,) = json.loads((tmp_path / "c.json").read_text())["differences"]
    assert (difference["value"], difference["low"], difference["high"], difference["p"]) == (0, 0, 0, 1)
    assert difference["larger_than_chance"] is False and "may be chance over images" in result.out
    assert "the runs have the same options" in titles(tmp_path / "c.html")


def test_kept_counts_need_no_data(call, run, other, tmp_path, monkeypatch):
    def gone(*_):
        raise FileNotFoundError("there is no folder data.")

    monkeypatch.setattr(task_called("segmentation").__class__, "open_data", gone)
    result = call("compare", run, other, "--output", tmp_path / "c.html")
    assert result.code == 0 and "looking at the evaluation set" not in result.out
    assert result.err.count("cannot be looked at any more (there is no folder data)") == 2


def test_kept_counts_are_used(call, run, other, tmp_path):
    result = call("compare", run, other, "--output", tmp_path / "c.html")
    assert result.code == 0 and "looking at the evaluation set" not in result.out and not result.err


def test_counts_of_masks_that_were_corrected_are_made_anew(call, run, trained, tmp_path):
    data = shutil.copytree(trained.data, tmp_path / "data")
    options = run / "config.yaml"
    options.write_text(options.read_text().replace(str(trained.data), str(data)))
    mask = data / "val" / "labels" / "val2.png"
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(mask)
    result = call("compare", run, run, "--output", tmp_path / "c.html")
    assert result.code == 0 and "looking at the evaluation set once more" in result.out
    true = load_counts(run / "evaluation.npz").margins()[2, 1]
    assert list(true) == [40 * 48, 0, 0]


@pytest.mark.parametrize("damage", ["missing", "garbage", "of other weights", "of fewer samples"])
def test_counts_that_are_not_kept_are_made(call, run, tmp_path, damage):
    kept = run / "evaluation.npz"
    before = load_counts(kept)
    if damage == "missing":
        kept.unlink()
    elif damage == "garbage":
        write_whole(kept, b"PK nonsense")
    elif damage == "of fewer samples":
        assert call("report", run, "--samples=1").code == 0
    else:
        network = load_model(run / "best.safetensors")
        network.head.classifier.weight.data *= -1
        save_model(network, run / "best.safetensors")
    result = call("compare", run, run, "--output", tmp_path / "c.html")
    assert result.code == 0 and "looking at the evaluation set once more" in result.out
    after = load_counts(kept)
    assert after.samples == before.samples
    assert (after.score() == before.score()) == (damage != "of other weights")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ("road", "sky", "bus")}, "not have the same classes (such as 'car' and 'bus')"),
        ({"classes": (*CLASSES, "bus")}, "not have the same classes (3 and 4)"),
        ({"samples": ("val0", "val1", "val2", "x")}, "evaluated on different data (such as 'val3' and 'x')"),
        ({"counts": None}, "the labels are not the same or not of the same size"),
    ],
)
def test_other_classes_data_and_labels_are_refused(call, run, tmp_path, change, said):
    other = shutil.copytree(run, tmp_path / "other")
    counts = load_counts(other / "evaluation.npz")
    change = {"counts": counts.counts * 4} if "counts" in change else change  # as of pictures twice as large
    replace(counts, **change).save(other / "evaluation.npz")
    result = call("compare", run, other, "--output", tmp_path / "c.html")
    assert result.code == 2 and said in result.err and result.err.count("\n") == 1, result.err
    assert not (tmp_path / "c.html").exists()


def test_runs_of_other_tasks_are_refused(call, run, tmp_path):
    classes = tmp_path / "classes"
    assert call(*fit_classes(write_classes(tmp_path / "data"), classes)).code == 0
    result = call("compare", run, classes, "--output", tmp_path / "c.html")
    assert result.code == 2 and "is of the task segmentation" in result.err
    result = call("compare", classes, classes, "--output", tmp_path / "c.html")
    assert result.code == 0 and "+0.00 points of accuracy" in result.out


def test_tasks_that_count_nothing_are_compared_by_curves_and_options(call, tmp_path):
    rows = [f"{'AACG' * (1 + n % 3)}{'T' * (n % 5)},{'cat' if n % 2 else 'dog'}" for n in range(30)]
    (tmp_path / "table.csv").write_text("\n".join(["text,kind", *rows]))
    for name, extra in (("a", "--seed=0"), ("b", "--seed=1")):
        result = call(
            "fit", "--model.name=paramixer", "--model.dim=8", "--model.hidden=8", "--trainer.max_epochs=1",
            "--data.batch_size=4", f"--data.file={tmp_path / 'table.csv'}", "--data.sequence_column=text",
            "--data.label_column=kind", "--trainer.accelerator=cpu", f"--output={tmp_path / name}", extra,
        )  # fmt: skip
        assert result.code == 0, result.err
    scores = tmp_path / "c.json"
    result = call(
        "compare", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "c.html", "--json", scores
    )
    assert result.code == 0 and "curves and options alone" in result.out, result.err
    told = json.loads(scores.read_text())
    assert told["differences"] == told["classes"] == [] and told["runs"][0]["counted"] is None
    assert "seed" in titles(tmp_path / "c.html")


def test_what_cannot_be_compared(call, run, tmp_path):
    page = tmp_path / "c.html"
    for arguments, said in (
        ((run,), "two runs or more, got 1"),
        ((run, tmp_path / "none"), "there is no folder"),
        ((run, tmp_path), "is no run"),
        ((run, run, "--samples=0"), "--samples must be at least 1"),
    ):
        result = call("compare", *arguments, "--output", page)
        assert result.code == 2 and said in result.err and not page.exists()
    page.write_text("mine")
    result = call("compare", run, run, "--output", page)
    assert result.code == 2 and "give another --output" in result.err and page.read_text() == "mine"


def test_names_are_text_and_tell_the_runs_apart(call, run, other, tmp_path):
    twin = shutil.copytree(other, tmp_path / "x" / "first <b>")
    same = shutil.copytree(other, tmp_path / "y" / "first <b>")
    page = tmp_path / "c.html"
    assert call("compare", run, twin, same, "--output", page).code == 0
    words = titles(page)
    assert str(twin) in words and str(same) in words and "With several comparisons" in words
    assert call("compare", run, twin, "--output", page).code == 0, "a page of ours is replaced"
    assert "first <b>" in titles(page)
