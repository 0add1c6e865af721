"""Finding the subcommand, and what a shell sees."""

import os
import subprocess
import sys

import pytest

import subquad
from cli_helpers import contents, fit_arguments
from subquad.cli import main as cli
from subquad.tasks import commands

COMMANDS = [
    "plan", "fit", "test", "report", "compare", "predict", "explain", "generate", "export", "models", "info",
    "convert", "bench", "advise", "data", "reproduce", "replay", "demo", "serve", "features",
]  # fmt: skip


def shell(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "subquad", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_help_names_every_command(call, arguments):
    result = call(*arguments)
    assert result.code == 0 and result.err == ""
    listed = [line.split()[0] for line in result.out.splitlines() if line.startswith("  ")]
    assert listed == COMMANDS == [*cli.OF_ALL_TASKS, *commands()]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(call, command, flag):
    result = call(command, flag)
    assert result.code == 0 and result.err == "" and result.out.startswith(f"usage: subquad {command}")


def test_version(call):
    assert call("--version").out == f"subquad {subquad.__version__}\n"


@pytest.mark.parametrize(("name", "meant"), [("ftt", "fit"), ("modles", "models"), ("Predict", "predict")])
def test_unknown_commands_suggest(complains, name, meant):
    assert complains(name, quoting=repr(name)).endswith(f"Did you mean {meant!r}?")


def test_unknown_commands_without_a_neighbour_suggest_nothing(complains):
    assert "Did you mean" not in complains("xyzzy", quoting="'xyzzy'")


def test_errors_pass_with_their_traceback_if_asked_to(monkeypatch):
    monkeypatch.setenv("SUBQUAD_TRACEBACK", "1")
    with pytest.raises(ValueError, match=r"unknown model 'light_ham_van_tny'"):
        cli.main(["info", "light_ham_van_tny"])


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    """Only bad input is turned into a sentence; a bug keeps its traceback."""
    import subquad.cli.models as command

    def broken(_):
        raise AttributeError("a bug")

    monkeypatch.setattr(command, "main", broken)
    with pytest.raises(AttributeError, match="a bug"):
        cli.main(["models"])


def test_the_process_ends_with_the_code_and_the_streams():
    result = shell("info", "light_ham_van_tny")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "subquad info: unknown model 'light_ham_van_tny'. Did you mean 'light_ham_van_tiny'? "
        "`subquad models` lists them all.\n"
    )
    result = shell("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"subquad {subquad.__version__}\n", "")


def test_a_process_that_trains_leaves_stderr_clean(data, tmp_path):
    """What libraries remark, as pytest's own filters would hide it."""
    result = shell(*fit_arguments(data, tmp_path / "run"))
    assert result.returncode == 0
    assert result.stderr == ""
    assert {"best.safetensors", "last.ckpt", "config.yaml"} <= contents(tmp_path / "run").keys()
