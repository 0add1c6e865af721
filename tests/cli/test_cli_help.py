"""`--help` shows the options that people use, `--help all` all of them."""

import pytest

from subquad.engine.parsing import Parser
from subquad.tasks import task_called, task_names
from subquad.tasks.fitting import fit_parser


def shown(text):
    """Return the options that begin a line."""
    return {line.split()[0].rstrip(",") for line in text.splitlines() if line.startswith("  --")}


@pytest.mark.parametrize("task", task_names())
def test_help_of_fit_is_one_screen_of_usual_options(call, task):
    result = call("fit", "--task", task, "--help")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "usage: subquad fit [options]" and f"task {task}" in result.out
    assert lines[-1] == "`subquad fit --help all` lists all options."
    assert {"--config", "--output", "--model.name", "--data.root", "--trainer.max_epochs"} <= shown(
        result.out
    )
    assert 18 <= len(shown(result.out)) <= 28 and len(lines) <= 60 and max(map(len, lines)) < 80
    assert f"(default {task})" in result.out


@pytest.mark.parametrize("task", task_names())
def test_help_all_has_all_of_them(call, task):
    out = call("fit", "--help", "all", "--task", task).out
    known = {action.option_strings[0] for action in fit_parser(task_called(task))._actions}
    # jsonargparse tells of a group as a whole before its options.
    assert known - {"-h"} <= shown(out) and len(known) > 60
    assert out.startswith("usage: subquad fit [options]\n")


@pytest.mark.parametrize("task", task_names())
def test_what_a_task_calls_usual_is_an_option(task):
    predicts = task != "generation"  # which has a command of its own for it
    for add in ("add_fit_options", "add_test_options", *["add_predict_options"] * predicts):
        p = Parser(prog="subquad")
        getattr(task_called(task), add)(p, *([{}] if add != "add_fit_options" else []))
        assert set(p.usual) <= {action.dest for action in p._actions}, add


@pytest.mark.parametrize("command", ["test", "predict"])
def test_help_of_what_is_asked_of_a_checkpoint(call, trained, command):
    short, full = (call(command, trained.run, "--help", *more).out for more in ([], ["all"]))
    assert short.startswith(f"usage: subquad {command} checkpoint ")
    assert "--protocol.name" in shown(short) < shown(full)
    assert f"`subquad {command} --help all`" in short and f"`subquad {command} --help all`" not in full


def test_a_short_command_shows_all_it_has(call):
    assert {"--format", "--opset", "--tolerance"} <= shown(call("export", "--help").out)


def test_names_and_defaults_are_told():
    p = Parser(prog="subquad x", description="Does x.")
    p.add_argument("--a_name_that_is_too_long_for_it", type=int, default=3, help="A number.")
    p.add_argument("--hidden", type=int, default=4, help="Another.")
    p.usual = ["a_name_that_is_too_long_for_it"]
    from subquad.engine.help import usual_help

    assert usual_help(p).splitlines()[4:6] == [
        "  --a_name_that_is_too_long_for_it",
        " " * 25 + "A number. (default 3)",
    ]
    assert "hidden" not in usual_help(p)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("--max-steps", "--trainer.max_steps"), ("--data-root", "--data.root"), ("--lr", "--optimizer.lr")],
)
def test_an_option_without_its_group_is_found(complains, given, meant):
    complains("fit", given, "2", quoting=[given, f"Did you mean {meant!r}?"])


def test_an_option_that_nobody_described_is_shown(capsys):
    """The configuration of a task of somebody's own may say nothing of an option."""
    p = Parser(["--help"], prog="subquad fit", description="Train.")
    p.add_argument("--width", type=int | None, default=None)
    p.usual.append("width")
    with pytest.raises(SystemExit):
        p.parse_args()
    assert "--width" in capsys.readouterr().out
