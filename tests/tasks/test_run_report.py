"""report.html: written at the end of each run, anew by `subquad report`, and never at the cost of a run."""

import json
import os
import re
import shlex
import shutil
import signal
import weakref
from html import unescape
from types import SimpleNamespace

import pytest

from classification_data import fit_classes, write_classes
from cli_helpers import contents, reported_fit_arguments, write_data
from page_reader import LOADS, Page
from subquad.base.interruption import Interrupted
from subquad.cli import compare, export, report
from subquad.cli.main import main
from subquad.engine.plan import Choice, Plan
from subquad.engine.sample_counts import load_counts
from subquad.tasks import running, task_called
from subquad.tasks.asking import ask_parser
from subquad.tasks.fitting import fit_parser
from subquad.tasks.next_steps import command_line
from subquad.tasks.runs import open_network, open_run
from subquad.tasks.segmentation import report as segmentation_report
from subquad.tasks.segmentation.commands import serve
from subquad.tasks.segmentation.confusion import ConfusionMatrix
from subquad.tasks.segmentation.learner import SegmentationLearner

NASTY = "<script>alert(1)</script>"


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained.run, tmp_path / "a run")


def words_of(run):
    page = Page(run / "report.html")
    assert not LOADS & set(page.tags) and all(load[:5] in ("#part", "data:") for load in page.loads)
    return " ".join(page.words)


def titles(run):
    return re.findall(r"<h2>(.*?)</h2>", (run / "report.html").read_text())


def test_a_run_ends_with_a_report(trained):
    assert titles(trained.run) == [
        "The plan", "Curves", "Classes", "Which class is taken for which", "Pictures: worst, typical, best",
        "What the ham looks at", "Time and memory", "How to go on",
    ]  # fmt: skip
    words = words_of(trained.run)
    told = json.loads((trained.run / "run.json").read_text())
    assert told["best"]["value"] in words and "mean IoU of the best weights" in words
    assert "all 4 evaluation pictures" in words and "model.backbone" in words and "conv_tiny" in words
    assert (trained.run / "report.html").stat().st_size < 2**20


def test_what_is_counted_once_more_is_what_training_found(trained):
    counts = load_counts(trained.run / "evaluation.npz")
    best = json.loads((trained.run / "run.json").read_text())["best"]["value"]
    assert f"{100 * counts.score():.2f} %" == best and counts.samples == ("val0", "val1", "val2", "val3")


def test_report_writes_the_same_anew(call, run):
    before = Page(run / "report.html").words
    (run / "report.html").unlink()
    (run / "evaluation.npz").unlink()
    result = call("report", run)
    assert result.code == 0 and result.out.endswith(f"report: {run / 'report.html'}\n"), result.err
    after = Page(run / "report.html").words
    assert len(after) == len(before) and titles(run)[2] == "Classes"


def test_no_matrix_of_a_picture_is_held(trained, monkeypatch):
    """Of a thousand classes one has 8 MB."""
    run = open_run(trained.run)
    opened, alive = open_network(run, "cpu"), []

    class Watched(ConfusionMatrix):
        def update(self, *arguments):
            super().update(*arguments)
            assert not any(there() is not None for there in alive)
            matrix = self.counts.numpy()
            alive.append(weakref.ref(matrix))
            self.counts = SimpleNamespace(numpy=lambda: matrix)

    monkeypatch.setattr(segmentation_report, "ConfusionMatrix", Watched)
    assert len(run.task.count_samples(opened.network, opened.data, opened.options, 4).samples) == 4
    assert len(alive) == 4


def test_few_pictures_bound_the_cost(call, run):
    assert call("report", run, "--samples=2").code == 0
    assert load_counts(run / "evaluation.npz").samples == ("val0", "val2")
    assert "2 of 4 evaluation pictures, evenly spread" in words_of(run)


def test_what_a_run_that_came_to_nothing_left_is_not_of_the_next(call, data, run, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    Plan(("4 pictures.",), (Choice("data.crop", [8, 8], "of another run"),)).write(new)
    for name in ("run.json", "evaluation.npz"):
        shutil.copy(run / name, new / name)
    result = call(
        *reported_fit_arguments(data, new, "--trainer.max_steps=1", "--trainer.limit_val_batches=0")
    )
    assert result.code == 0, result.err
    assert not (new / "plan.json").exists() and not (new / "evaluation.npz").exists()
    assert call(*reported_fit_arguments(data, new)).code == 2, "there is a run now, and its files stay"
    assert (new / "run.json").is_file()


def test_no_report_if_none_is_asked_for(call, data, tmp_path):
    result = call(*reported_fit_arguments(data, tmp_path / "run", "--report_samples=0"))
    assert result.code == 0 and "writing the report" not in result.out
    assert not (tmp_path / "run" / "report.html").exists()
    assert call(*reported_fit_arguments(data, tmp_path / "run2", "--report_samples=-1")).code == 2
    assert "--samples must be at least 1, got 0" in call("report", tmp_path / "run", "--samples=0").err


def test_names_from_files_are_text(call, tmp_path):
    """Of classes, of pictures, of the folder, and in the plan."""
    data = write_data(tmp_path / "data", [NASTY, "sky&", '"car"'])
    for kind in ("images", "labels"):
        (data / "val" / kind / "val0.png").rename(data / "val" / kind / "<b>val0.png")
    run = tmp_path / "run <i>x"
    assert call(*reported_fit_arguments(data, run)).code == 0
    choices = (
        Choice("data.crop", [40, 48], f"because {NASTY}"),
        Choice("seed", 77, "never shown", given=True),
    )
    Plan((f"4 pictures {NASTY}.",), choices).write(run)
    assert call("report", run).code == 0
    words = words_of(run)
    for name in (
        NASTY,
        "sky&",
        '"car"',
        "<b>val0",
        "run <i>x",
        f"because {NASTY}",
        f"4 pictures {NASTY}.",
        "[40, 48]",
    ):
        assert name in words, name
    assert "never shown" not in words and "given" in words


@pytest.mark.parametrize(
    "content",
    ["{", "[1]", '{"facts": [], "choices": 3}', '{"facts": [], "choices": [{"option": "a"}]}', "null"],
)
def test_a_damaged_plan_is_said(call, run, content):
    (run / "plan.json").write_text(content)
    assert call("report", run).code == 0
    assert "plan.json cannot be understood" in words_of(run)


def test_a_broken_log_is_said_and_the_rest_is_there(call, run):
    (log,) = run.glob("logs/*/metrics.csv")
    log.write_bytes(b"\x00\xff\xfe nonsense")
    (run / "run.json").unlink()
    assert call("report", run).code == 0
    words = words_of(run)
    assert "metrics.csv cannot be read" in words and "There is nothing to draw" in words
    assert "were not recorded" in words and "Classes" in titles(run)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "there is no folder"),
        (lambda folder: folder.mkdir(), "is no run: it has no config.yaml"),
        (lambda folder: folder.write_text("x"), "is no run: it has no config.yaml"),
    ],
)
def test_what_is_no_run_is_refused(call, tmp_path, make, said):
    make(tmp_path / "other")
    result = call("report", tmp_path / "other")
    assert result.code == 2 and said in result.err and result.err.count("\n") == 1


def test_a_run_without_evaluation(call, data, tmp_path):
    result = call(*reported_fit_arguments(data, tmp_path / "run", "--trainer.limit_val_batches=0"))
    assert result.code == 0 and "there was no evaluation" in result.out
    assert not (tmp_path / "run" / "report.html").exists()
    result = call("report", tmp_path / "run")
    assert result.code == 2 and "has had no evaluation" in result.err


def test_a_page_of_somebody_else_is_kept(call, data, tmp_path, run):
    (run / "report.html").write_text("mine")
    result = call("report", run)
    assert result.code == 2 and "no report of subquad" in result.err
    assert (run / "report.html").read_text() == "mine"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "report.html").write_text("mine")
    result = call(*reported_fit_arguments(data, tmp_path / "new"))
    assert result.code == 0 and "the run is whole" in result.err
    assert (tmp_path / "new" / "report.html").read_text() == "mine"


@pytest.mark.parametrize("error", [OSError("no space"), RuntimeError("out of memory"), KeyError("x")])
def test_what_goes_wrong_with_the_report_costs_no_run(call, data, tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(task_called("segmentation").__class__, "report_sections", fail)
    run = tmp_path / "run"
    result = call(*reported_fit_arguments(data, run))
    assert result.code == 0 and (run / "best.safetensors").is_file()
    (told,) = [line for line in result.err.splitlines() if "report.html" in line]
    assert f"`subquad report {run}` writes it" in told


def test_a_signal_amid_the_report_says_that_the_run_is_whole(call, data, tmp_path, monkeypatch):
    def interrupt(*_):
        raise Interrupted(signal.SIGINT, "interrupted by Ctrl-C.")

    monkeypatch.setattr(task_called("segmentation").__class__, "report_sections", interrupt)
    result = call(*reported_fit_arguments(data, tmp_path / "run"))
    assert result.code == 130 and "the run is whole" in result.err


def test_an_interrupted_run_has_a_report_of_what_there_is(call, run, monkeypatch):
    """Without looking at pictures again: who sends a signal wants the process to end."""
    for name in ("report.html", "evaluation.npz"):
        (run / name).unlink()
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**told, "planned_steps": 12, "ended": False}))

    def interrupt(*_):
        raise Interrupted(signal.SIGTERM, "interrupted by SIGTERM; go on with --resume.")

    monkeypatch.setattr(running, "fit", interrupt)
    result = call("fit", "--config", run / "config.yaml", "--output", run, "--resume")
    assert result.code == 143 and "go on with --resume" in result.err
    words = words_of(run)
    assert "Training was interrupted at step 3 of 12" in words and "this adds them" in words
    adds, goes_on, *_ = map(unescape, commands(run))
    assert adds == command_line(["report", str(run)]) and goes_on.endswith("--resume")
    assert not (run / "evaluation.npz").exists()
    assert "mean_iou" in words, "of the best evaluation the log tells"


def test_a_signal_after_the_first_evaluation(call, data, tmp_path, monkeypatch):
    """The whole way: training is told to end, saves, and leaves a page that says how to go on."""
    step = SegmentationLearner.training_step

    def interrupted(self, batch, batch_idx):
        if self.trainer.global_step == 4:  # three steps an epoch
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SegmentationLearner, "training_step", interrupted)
    run = tmp_path / "run"
    result = call(*reported_fit_arguments(data, run, "--trainer.max_epochs=3"))
    assert result.code == 143 and "interrupted by SIGTERM" in result.err
    assert (
        "Training was interrupted at step 5 of 9" in words_of(run) and not (run / "evaluation.npz").exists()
    )


def test_the_report_after_a_run_goes_on_is_of_all_of_it(call, data, tmp_path):
    run, constant = tmp_path / "run", ["--optimizer.power=0", "--optimizer.warmup_steps=0"]
    assert call(*reported_fit_arguments(data, run, *constant)).code == 0
    result = call(*reported_fit_arguments(data, run, *constant, "--resume", "--trainer.max_epochs=2"))
    assert result.code == 0 and f"report: {run / 'report.html'}" in result.out
    words = words_of(run)
    assert "2 sessions" in words and "3 to 6" in words and "0 to 3" in words
    dots = re.findall(r"val/mean_iou: [^<]* at step (\d)", (run / "report.html").read_text())
    assert dots == ["3", "6"]


def commands(run):
    return [part for part in re.findall(r"<pre>(.*?)</pre>", (run / "report.html").read_text())]


def parsed(command):
    """Parse a command as a shell and the command line take it."""
    program, name, *arguments = shlex.split(unescape(command))
    assert program == "subquad"
    task = task_called("segmentation")
    parsers = {
        "fit": lambda: fit_parser(task, arguments),
        "test": lambda: ask_parser("test", task, {}, arguments),
        "predict": lambda: ask_parser("predict", task, {}, arguments),
        "export": export.parser,
        "serve": serve.parser,
        "report": report.parser,
        "compare": compare.parser,
    }
    return name, parsers[name]().parse_args(arguments)


def test_its_commands_can_be_pasted(call, run, trained):
    """With a blank in the name of the folder; each is of an option that there is, of files that are there."""
    shutil.copytree(run, run.with_name("b"))
    assert call("report", run).code == 0
    found = dict(parsed(command) for command in commands(run))
    assert list(found) == ["test", "predict", "serve", "export", "fit", "compare", "report"]
    for options in found.values():
        for name in ("checkpoint", "images", "run"):
            if name in options:
                assert (run / options[name]).exists(), options[name]
    assert found["fit"].output.endswith("a run-2") and found["compare"].runs[1].endswith("/b")
    assert found["predict"].images == str(trained.data / "val" / "images" / "val0.png")


@pytest.mark.slow
def test_its_commands_work(call, run):
    assert call("report", run).code == 0
    before = contents(run.parent)
    for command in commands(run):
        if "subquad serve" in command:  # which does not end
            continue
        assert main(shlex.split(unescape(command))[1:]) == 0, command
    assert before.keys() < contents(run.parent).keys()


def test_a_network_without_a_ham_has_no_code_maps(call, data, tmp_path):
    assert call(*reported_fit_arguments(data, tmp_path / "run", "--model.context=none")).code == 0
    assert "What the ham looks at" not in titles(tmp_path / "run") and "Classes" in titles(tmp_path / "run")


def test_other_tasks_have_the_frame(call, tmp_path):
    rows = [f"{'AACG' * (1 + n % 3)}{'T' * (n % 5)},{'cat' if n % 2 else 'dog'}" for n in range(30)]
    (tmp_path / "table.csv").write_text("\n".join(["text,kind", *rows]))
    result = call(
        "fit", "--model.name=paramixer", "--model.dim=8", "--model.hidden=8", "--trainer.max_epochs=1",
        "--data.batch_size=4", f"--data.file={tmp_path / 'table.csv'}", "--data.sequence_column=text",
        "--data.label_column=kind", "--trainer.accelerator=cpu", f"--output={tmp_path / 'run'}",
    )  # fmt: skip
    assert result.code == 0, result.err
    run = tmp_path / "run"
    assert titles(run) == ["The plan", "Curves", "The best evaluation", "Time and memory", "How to go on"]
    assert "accuracy" in words_of(run) and not (run / "evaluation.npz").exists()


def test_classification_tells_classes_and_mistakes(call, tmp_path):
    data = write_classes(tmp_path / "data")
    run = tmp_path / "run"
    assert call(*fit_classes(data, run, "--trainer.max_epochs=1", "--optimizer.lr=1e-30")).code == 0
    assert titles(run)[2:5] == ["Classes", "Which class is taken for which", "Most certain mistakes"]
    counts = load_counts(run / "evaluation.npz")
    assert counts.metric == "accuracy" and counts.counts.sum() == len(counts.samples)
    best = json.loads((run / "run.json").read_text())["best"]["value"]
    assert f"{100 * counts.score():.2f} %" == best, "as training found"
    assert all(name.split("/")[0] in counts.classes for name in counts.samples)
