"""The `subquad` command: finds the subcommand, and turns errors into one sentence."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from signal import SIGINT

from subquad.base.allocation import keep_freed_memory
from subquad.base.interruption import Interrupted
from subquad.base.plugins import load
from subquad.base.suggest import did_you_mean
from subquad.engine.recipes import forgotten_base
from subquad.tasks import Command, commands

# Those of one task alone, such as `demo`, are in the table of tasks.
OF_ALL_TASKS = {
    name: Command(f"subquad.cli.{name}:main", help)
    for name, help in {
        "plan": "choose from the data how to train",
        "fit": "train a network",
        "test": "evaluate a checkpoint",
        "report": "write report.html of a run anew",
        "compare": "runs side by side, and whether their differences are real",
        "predict": "what a checkpoint says of new data",
        "explain": "what a network makes of one picture, sequence or text, and why",
        "generate": "make images of a class, or go on with a text",
        "export": "write a network as ONNX or for PyTorch, checked",
        "models": "list the networks, their parameters and multiply-adds",
        "info": "describe a network or a checkpoint",
        "convert": "turn a checkpoint of the originals into one of ours",
        "bench": "measure solvers, modules, networks on this machine: `subquad bench --help`",
        "advise": "which mixer to take for a shape, measured on this machine",
        "data": "check a data set, or convert one to masks: `subquad data check PATH`",
        "reproduce": "run an experiment behind the results: `subquad reproduce` lists them",
        "replay": "repeat the step in which training became NaN",
    }.items()
}


def run() -> None:
    """Entry point of the console script."""
    keep_freed_memory()
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run a subcommand.

    Returns:
        0 if it went well; 2 if the input was wrong, after one sentence on stderr; 128 + signal, such as
        130 for Ctrl-C and 143 for SIGTERM, if one ended it. The environment variable
        SUBQUAD_TRACEBACK=1 lets the error through, with its traceback.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write(_help())
        return 0
    if name == "--version":
        import subquad

        sys.stdout.write(f"subquad {subquad.__version__}\n")
        return 0
    known = {**OF_ALL_TASKS, **commands()}
    if name not in known:
        hint = did_you_mean(name, known) or " `subquad --help` lists them."
        return _complain("subquad", f"unknown command {name!r}.{hint}")
    try:
        command: Callable[[list[str]], None] = load(known[name].where)
        command(list(rest))
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("subquad"):
            raise
        return _complain(
            f"subquad {name}", f"{error}; install what training needs: pip install 'subquad[train]'"
        )
    except (Interrupted, KeyboardInterrupt) as interrupt:
        if not isinstance(interrupt, Interrupted):
            interrupt = Interrupted(SIGINT, "interrupted by Ctrl-C.")
        if str(interrupt):  # else another process tells it
            _complain(f"subquad {name}", str(interrupt))
        return interrupt.code
    except Exception as error:
        if not _is_about_input(error):
            raise
        if os.environ.get("SUBQUAD_TRACEBACK") == "1":
            raise
        return _complain(f"subquad {name}", _sentence(error) + forgotten_base(rest))
    return 0


def _is_about_input(error: Exception) -> bool:
    """Say whether an error is the user's to mend; the name is that of Lightning's own."""
    return (
        isinstance(error, (ValueError, OSError))
        or type(error).__name__ == "MisconfigurationException"
        or "Symlink loop" in str(error)  # a RuntimeError, in Python 3.11 and 3.12
        or _is_about_memory(error)
        or _is_about_loaders(error)
    )


def _is_about_memory(error: Exception) -> bool:
    """Say whether an error is that there is not enough memory, of Python, of PyTorch or of a GPU."""
    of_torch = isinstance(error, RuntimeError) and re.search(r"allocate memory|out of memory", str(error))
    return isinstance(error, MemoryError) or bool(of_torch)


def _is_about_loaders(error: Exception) -> bool:
    """Say whether a loader process was ended from outside: by the system, for the memory that it took."""
    return isinstance(error, RuntimeError) and "DataLoader worker (pid" in str(error)


def _sentence(error: Exception) -> str:
    """Return the message; of an error in a loader process, only the message of its cause."""
    text = str(error)
    if _is_about_memory(error):
        first = text.splitlines()[0] if text else "Python asked for more than there is"
        return f"there is not enough memory ({first}); take smaller batches, pictures or networks."
    if _is_about_loaders(error):
        return (
            f"a loader process was ended from outside ({' '.join(text.split())[:100]}), maybe for want of "
            "memory; lower --data.workers, and go on with --resume if it was training."
        )
    if "Original Traceback" in text:
        causes = re.findall(r"^\w*(?:Error|Exception): (.*)$", text, flags=re.MULTILINE)
        text = causes[-1] if causes else text
    return " ".join(text.split())


def _complain(program: str, sentence: str) -> int:
    sys.stderr.write(f"{program}: {sentence}\n")
    return 2


def _help() -> str:
    told = {name: command.help for name, command in {**OF_ALL_TASKS, **commands()}.items()}
    width = max(map(len, told))
    lines = [f"  {name:{width}} {what}" for name, what in told.items()]
    return (
        "usage: subquad COMMAND ...\n\nSub-quadratic global context for PyTorch.\n\n"
        + "\n".join(lines)
        + "\n\n`subquad COMMAND --help` lists the options of a command.\n"
    )
