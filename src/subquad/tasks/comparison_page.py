"""compare.html: what `subquad compare` found, for readers."""

from __future__ import annotations

from subquad.engine.bootstrap import REPEATS
from subquad.engine.sample_counts import CLASS_WORDS
from subquad.engine.tables import percent
from subquad.explain.charts import interval_chart
from subquad.explain.report import Cell, HtmlReport, Section
from subquad.tasks.comparing import Comparison
from subquad.tasks.curves import curves
from subquad.tasks.runs import short_value

CAUTION = (
    "It says nothing about other seeds: trained again with another seed, each would score otherwise. Best "
    "weights were chosen by their score on these very samples, which flatters all runs. Where samples are "
    "not independent, such as frames of one video or tiles of one picture, intervals are too short."
)


def comparison_page(found: Comparison) -> HtmlReport:
    """Return the page of a comparison."""
    first = next(iter(found.runs.values()))
    report = HtmlReport(
        f"Comparison of {len(found.runs)} runs",
        f"Runs of the task {first.task.name}, each with its best weights; all are compared with the first, "
        f"{found.first}.",
    )
    report.tiles((run.score[0] if run.score else "?", name) for name, run in found.runs.items())
    report.add(_difference(found))
    overview = Section("Overview")
    overview.table(("", *found.runs), found.overview(), kind="plain")
    report.add(overview)
    report.add(_options(found))
    report.add(curves(found.runs))
    if found.counts:
        report.add(_classes(found))
    return report


def _difference(found: Comparison) -> Section:
    section = Section("Is the difference real?")
    if not found.differences:
        section.text(
            "Evaluations of this task are not told sample by sample, so chance cannot be told from "
            "difference: below are curves and options alone."
        )
        return section
    for sentence in found.sentences():
        section.text(sentence)
    section.text(CAUTION)
    rows = [(name, 100 * d.value, 100 * d.low, 100 * d.high) for name, d in found.differences.items()]
    title = f"Points more than {found.first}, with 95 % intervals"
    section.charts([(title, interval_chart(rows, title))])
    what = found.runs[found.first].task.counts
    several = " With several comparisons, one in twenty looks real by chance." if len(rows) > 1 else ""
    section.note(
        f"How: all runs answered the same {what}. {REPEATS:,} times as many {what} are drawn from them with "
        "replacement, the same ones for both runs, and scored anew; the interval holds 95 % of the "
        "differences (paired percentile bootstrap), p is twice the share of draws in which the sign turns. "
        f"A class that no drawn one of the {what} shows has no part in either mean.{several}"
    )
    return section


def _options(found: Comparison) -> Section:
    section = Section("What differs in the options")
    rows = [[name, *map(short_value, values)] for name, values in found.options()]
    if rows:
        section.table(("option", *found.runs), rows, kind="words")
    else:
        section.text("Nothing: the runs have the same options.")
    return section


def _classes(found: Comparison) -> Section:
    section = Section("Classes")
    count, word = len(found.runs), CLASS_WORDS[found.counts[found.first].metric]
    others = [name for name in found.runs if name != found.first]
    rows = [
        [name, *map(percent, numbers[:count]), *map(_gain, numbers[count:])]
        for name, *numbers in found.classes()
    ]
    section.text(f"{word} in percent; behind it how many points more or less than {found.first}.")
    section.table(("class", *found.runs, *(f"{name}: difference" for name in others)), rows, kind="plain")
    return section


def _gain(difference: float) -> Cell:
    if difference != difference:
        return Cell("n/a")
    kind = "" if abs(difference) < 5e-5 else "good" if difference > 0 else "bad"
    return Cell(f"{100 * difference:+.2f}", kind=kind)
