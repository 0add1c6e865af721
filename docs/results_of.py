"""The directive `{experiment} NAME`: what an experiment asked, its table and picture, made from its results.

Nothing of it is typed: the table and the picture are made of the JSON lines when the documentation is built.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from subquad.engine.experiment import read_experiment
from subquad.engine.experiment_plot import plot_cases
from subquad.engine.experiment_results import case_table, markdown, own_table, read_lines

ROOT = Path(__file__).parents[1]


def text_of(name: str, pictures: Path) -> str:
    """Return the section of an experiment in markdown, below its heading.

    Args:
        name: Of its folder.
        pictures: Folder for its picture; the text names it relative to that folder's parent.
    """
    experiment = read_experiment(ROOT / "experiments", name)
    lines = read_lines(experiment.results)
    parts = [f"**{experiment.question}**"]
    if experiment.shows:
        parts.append(experiment.shows)
    if experiment.cases:
        rows = case_table(experiment, lines)
        parts.append(markdown(rows) if len(rows) > 1 else "*No results yet.*")
        pictures.mkdir(exist_ok=True)
        if plot_cases(experiment, lines, pictures / f"{name}.svg"):
            parts.append(f"![{experiment.question}]({pictures.name}/{name}.svg)")
    else:
        parts.append(own_table(experiment))
    if experiment.expected:
        parts.append(f"*Expected before the first run:* {experiment.expected}")
    parts.append(f"`subquad reproduce {name}`{_where(lines)}")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _where(lines: list[dict]) -> str:
    """Return on what the runs were made, and by which commits."""
    told = []
    for name in ("device", "threads", "torch", "commit"):
        found = sorted({str(line[name]) for line in lines if line.get(name) is not None})
        if found:
            told.append(f"{name} {', '.join(found)}")
    return f" ({'; '.join(told)})" if told else ""


class ExperimentDirective(Directive):
    """```{experiment} NAME```."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the text of the experiment as if it stood there."""
        from myst_parser.mocking import MockState

        assert isinstance(self.state, MockState)
        environment = self.state.document.settings.env
        environment.note_dependency(str(ROOT / "experiments" / self.arguments[0] / "results.jsonl"))
        environment.note_dependency(str(ROOT / "experiments" / self.arguments[0] / "experiment.yaml"))
        parent = nodes.Element()
        text = text_of(self.arguments[0], Path(environment.srcdir) / "results_pictures")
        block = StringList(text.splitlines(), self.arguments[0])
        self.state.nested_parse(block, self.content_offset, parent, match_titles=True)
        return parent.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("experiment", ExperimentDirective)
    return {"parallel_read_safe": True}
