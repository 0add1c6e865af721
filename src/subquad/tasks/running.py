"""`subquad fit` of any task: what happens around training."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subquad.base.interruption import Interrupted
from subquad.engine.plan import PLAN
from subquad.engine.progress import is_first_process
from subquad.engine.run import tell_unevaluated
from subquad.engine.run_file import RUN_FILE
from subquad.engine.run_folder import is_resumable, lock, refuse_run
from subquad.engine.run_record import RunOptions
from subquad.engine.sample_counts import COUNTS_FILE
from subquad.engine.tables import best_sentence, print_scores
from subquad.tasks import Task
from subquad.tasks.fitting import WEIGHTS, fit, fit_parser, take_older_defaults
from subquad.tasks.planning import planned
from subquad.tasks.reporting import report_at_the_end


def run_fit(task: Task, arguments: Sequence[str]) -> None:
    """Parse, lock the folder, train, print the scores, write the report; refuse what would lose a run."""
    p = fit_parser(task, arguments)
    options = p.parse_args()
    options.task = task.name  # a recipe may name that of another network
    folder = Path(options.output)
    if is_first_process():
        lock(folder)
        refuse_run(folder, options.resume)
        if not is_resumable(folder):  # what a run that came to nothing left here is not of this one
            for name in (PLAN, RUN_FILE, COUNTS_FILE):
                (folder / name).unlink(missing_ok=True)
    options = planned(task, p, options, folder)
    take_older_defaults(task, p, options, folder)
    try:
        learner = fit(task, p.instantiate(options), folder, RunOptions(p, options))
    except Interrupted:
        if is_first_process() and (folder / WEIGHTS).is_file():  # what there is, without another evaluation
            report_at_the_end(folder, options.report_samples, "cpu", looks=False)
        raise
    if learner.score is None:
        tell_unevaluated(folder)
    elif is_first_process():
        if learner.scores is not None:
            sys.stdout.write(f"the last evaluation, at step {learner.scored_step}:\n")
            print_scores(learner.scores)
        device: Any = learner.trainer.strategy.root_device
        try:
            report_at_the_end(folder, options.report_samples, str(device))
        finally:
            others = "".join(f"; {what}: {folder / place}" for what, place in learner.files.items())
            sys.stdout.write(f"{best_sentence(learner, folder / WEIGHTS)}{others}\n")
