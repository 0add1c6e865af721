"""The directive `{experiment} NAME`: what an experiment asked, its table and picture, made from its results.

Nothing of it is typed: the table and the picture are made of the JSON lines when the documentation is built.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from subquad.engine.experiment import read_experiment
from subquad.engine.experiment_plot import plot_cases, plot_lines
from subquad.engine.experiment_results import of_case, read_lines, table_text

ROOT = Path(__file__).parents[1]
# What a line says of where it comes from. Older results without a commit have the one that recorded them.
WORDS = {
    "seed": "seed", "device": "device", "threads": "threads:", "torch": "torch", "commit": "commit",
    "recorded": "recorded by commit",
}  # fmt: skip
MOST = 3  # that are listed; of more their number


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
    parts.append(table_text(experiment, lines) or "*No results yet.*")
    if experiment.picture or not experiment.tables:
        plot = plot_lines if experiment.picture else plot_cases
        pictures.mkdir(exist_ok=True)
        if plot(experiment, lines, pictures / f"{name}.svg"):
            parts.append(f"![{experiment.question}]({pictures.name}/{name}.svg)")
    if experiment.expected:
        parts.append(f"*Expected before the first run:* {experiment.expected}")
    shown = [line for case in experiment.cases for line in of_case(experiment, lines, case)]
    parts.append(f"`subquad reproduce {name}`{_where(shown or lines)}")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _where(lines: list[dict]) -> str:
    """Return on what the runs were made, with which seeds, and by which commits."""
    told = []
    for name, word in WORDS.items():
        found = dict.fromkeys(str(line[name]).partition("+")[0] for line in lines if name in line)
        if not found:
            continue
        listed = sorted(found) if name == "seed" else [*found]
        if len(listed) > MOST:
            told.append(f"{len(listed)} {word}s")
        else:
            several = len(listed) > 1 and name in ("seed", "device", "commit", "recorded")
            told.append(f"{word}{'s' * several} {', '.join(listed)}")
    return f": {'; '.join(told)}." if told else ""


class ExperimentDirective(Directive):
    """```{experiment} NAME```."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the text of the experiment as if it stood there."""
        from myst_parser.mocking import MockState

        assert isinstance(self.state, MockState)
        environment = self.state.document.settings.env
        for path in (ROOT / "experiments" / self.arguments[0]).iterdir():
            environment.note_dependency(str(path))
        parent = nodes.Element()
        text = text_of(self.arguments[0], Path(environment.srcdir) / "results_pictures")
        block = StringList(text.splitlines(), self.arguments[0])
        self.state.nested_parse(block, self.content_offset, parent, match_titles=True)
        return parent.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("experiment", ExperimentDirective)
    return {"parallel_read_safe": True}
