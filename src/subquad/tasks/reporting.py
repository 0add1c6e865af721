"""`report.html` of a run of any task: how well, by what choices, how it went, and how to go on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from subquad.base.interruption import Interrupted
from subquad.engine.plan import PLAN, Plan
from subquad.engine.progress import doing, duration
from subquad.explain.report import HtmlReport, Section, refuse_foreign_page
from subquad.models.cost import parameters_of
from subquad.tasks.curves import curves
from subquad.tasks.next_steps import command_line, next_steps
from subquad.tasks.runs import Opened, Run, count, open_network, open_run, short_value

PAGE = "report.html"


def write_report(folder: Path, samples: int, device: str = "cpu", *, looks: bool = True) -> Path:
    """Write `report.html` into the folder of a run, in place of an earlier one.

    Args:
        folder: Of a run that has been evaluated.
        samples: Of the evaluation set that are looked at once more, at most.
        device: Where the network works meanwhile.
        looks: False leaves out what the network and the data must be opened for.

    Returns:
        Where it is.

    Raises:
        OSError: If the run, its data or the page cannot be read or written.
        ValueError: If the folder is no run, or something else lies in the page's place.
    """
    return _write(folder, samples, device, looks)[0]


def _write(folder: Path, samples: int, device: str, looks: bool) -> tuple[Path, Run]:
    """Write the report, and return where it is and of which run."""
    path = folder / PAGE
    refuse_foreign_page(path, f"move it, so that `subquad report` can write {PAGE} there")
    run = open_run(folder)
    opened = open_network(run, device) if looks and run.task.counts else None
    counts = None if opened is None else count(run, opened, samples)
    with doing("writing the report"):
        sections = []
        if opened is not None and counts is not None:
            sections += run.task.report_sections(opened.network, opened.data, opened.options, counts)
        page(run, sections, opened, looks).save(path)
    return path, run


def report_at_the_end(folder: Path, samples: int, device: str, *, looks: bool = True) -> None:
    """Write the report of a run that has just ended; whatever goes wrong, the run is whole, and it is said.

    Args:
        folder: As `write_report` takes it.
        samples: As above; 0 writes nothing.
        device: As above.
        looks: As above.
    """
    if not samples:
        return
    again = f"`{command_line(['report', str(folder)])}` writes it"
    try:
        path, run = _write(folder, samples, device, looks)
        first = [*run.task.next_commands(str(folder), None)][:1]
    except Interrupted as interrupt:
        sentence = f"interrupted while the report was written; the run is whole, and {again}."
        raise Interrupted(interrupt.signum, sentence, interrupt.code) from None
    except Exception as error:  # of any kind: hours of training are not to fail for a page
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        sys.stderr.write(f"note: there is no {folder / PAGE} ({reason}); the run is whole, and {again}.\n")
        return
    told = "".join(f", such as `{command_line(arguments)}`" for _, arguments in first)
    sys.stdout.write(f"report: {path}, with commands to go on at its end{told}\n")


def page(run: Run, sections: list[Section], opened: Opened | None, looks: bool = True) -> HtmlReport:
    """Return the report of a run.

    Args:
        run: The run.
        sections: Of its task.
        opened: Its network and data, where they were needed.
        looks: Whether they were looked at.
    """
    report = HtmlReport(
        f"Training report: {run.folder.resolve().name}",
        f"What became of a run of subquad fit: the task is {run.task.name}, the network "
        f"{run.options.get('model.name')} ({parameters_of(run.config):,} parameters), the data "
        f"{run.options.get('data.name', '')} {run.options.get('data.root') or ''}".rstrip()
        + ".",
    )
    report.tiles(_tiles(run))
    if run.score is not None and run.task.score_meaning:
        report.text(run.task.score_meaning)
    if run.is_unfinished:
        planned = run.told.get("planned_steps")
        of = f" of {planned:,}" if isinstance(planned, int) else ""
        report.text(f"Training was interrupted at step {run.step:,}{of}; a command below goes on with it.")
    report.add(_plan(run))
    report.add(curves({run.folder.name: run}))
    for section in sections:
        report.add(section)
    if not sections:
        report.add(_without_sections(run, looks))
    report.add(_time(run))
    report.add(_go_on(run, opened))
    return report


def _tiles(run: Run) -> list[tuple[str, str]]:
    sessions = run.sessions
    score, words = run.score or ("not recorded", "score")
    found = [(score, f"{words} of the best weights")]
    if run.best_step is not None:
        found.append(
            (
                f"{run.best_step:,} of {run.step or run.best_step:,}",
                "steps: of the best weights, and of all training",
            )
        )
    if sessions:
        found.append(
            (duration(sum(s["seconds"] for s in sessions)), "hours, minutes and seconds of training")
        )
    return found


def _plan(run: Run) -> Section:
    section = Section("The plan")
    facts, choices, problem = read_plan(run.folder)
    if problem:
        section.note(problem)
    if choices:
        section.text("What was chosen from the data where nothing was said, and why:")
        section.table(("option", "value", "reason"), choices, kind="words")
        for fact in facts:
            section.note(fact)
    in_plan = {name for name, *_ in choices}
    if given := {name: values for name, values in run.differing().items() if name not in in_plan}:
        section.text(f"The {'other ' if choices else ''}options that are not as they are by default:")
        rows = [(name, short_value(value), short_value(default)) for name, (value, default) in given.items()]
        section.table(("option", "value", "default"), rows, kind="words")
    section.note(f"All options are in {run.folder.resolve() / 'config.yaml'}.")
    return section


def read_plan(folder: Path) -> tuple[list[str], list[tuple[str, str, str]], str]:
    """Return facts and choices of the plan of a run, and what is wrong with its file.

    Returns:
        A sentence for each fact; of each choice the option, its value and the reason; and a sentence, "" if
        nothing is wrong.
    """
    path = folder / PLAN
    if not path.is_file():
        return [], [], ""
    try:
        plan = Plan.read(path)
        choices = [(c.option, short_value(c.value), "given" if c.given else c.reason) for c in plan.choices]
        return list(plan.facts), choices, ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [], [], f"{path} cannot be understood ({type(error).__name__}), so the plan is left out."


def _without_sections(run: Run, looks: bool) -> Section:
    section = Section("The best evaluation")
    values = {} if run.best_step is None else run.log.at(run.best_step)
    if values:
        rows = [(name.removeprefix("val/"), f"{value:.5g}") for name, value in values.items()]
        section.table(("", f"after {run.best_step:,} steps"), rows, kind="plain")
    if not looks:
        told = "The run was interrupted, so classes and pictures are not in this page yet; this adds them:"
        section.command(told, command_line(["report", str(run.folder.resolve())]))
    elif not values:
        section.text("No values of the best evaluation were recorded.")
    return section


def _time(run: Run) -> Section:
    section = Section("Time and memory")
    rows = []
    for session in run.sessions:
        steps = session["last_step"] - session["first_step"]
        training = session["seconds"] - session["evaluating_seconds"]
        peak = session.get("peak_memory")
        of = "the device" if session.get("memory_of") == "device" else "the process"
        rows.append(
            (
                str(session.get("begun", "?")).replace("T", " ").replace("+00:00", " UTC"),
                f"{session['first_step']:,} to {session['last_step']:,}",
                duration(session["seconds"]),
                duration(session["evaluating_seconds"]),
                f"{steps / training:.2f}" if training > 0 else "?",
                f"{peak / 2**30:.2f} GiB of {of}" if isinstance(peak, int) else "not told",
                _where(session),
            )
        )
    if not rows:
        section.text("The run has no run.json, so its time and memory were not recorded.")
        return section
    if len(rows) > 1:
        section.text(f"The run was interrupted and taken up again: {len(rows)} sessions.")
    columns = ("begun", "steps", "time", "of it evaluating", "steps a second", "most memory", "where")
    section.table(columns, rows, kind="plain")
    last = run.sessions[-1]
    section.note(f"subquad {last.get('subquad', '?')}, torch {last.get('torch', '?')}.")
    return section


def _where(session: Mapping[str, Any]) -> str:
    device, processes = session.get("device", "?"), session.get("processes", 1)
    many = f"{processes} x " if processes != 1 else ""
    return f"{many}{device}, {session.get('precision', '?')}"


def _go_on(run: Run, opened: Opened | None) -> Section:
    section = Section("How to go on")
    section.text("These commands can be pasted as they are; a click marks one whole.")
    for what, command in next_steps(run, None if opened is None else opened.data):
        section.command(what, command)
    return section
