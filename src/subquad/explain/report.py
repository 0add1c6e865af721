"""A report in one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subquad.base.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c2430; background: #fff; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem; border-bottom: 1px solid #d5dae1; text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { font-weight: 600; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
p.note { color: #5a6675; font-size: .92rem; }
code { background: #eef1f5; padding: .1rem .3rem; border-radius: 4px; }
@media (prefers-color-scheme: dark) {
  body { color: #dde3ea; background: #14181d; } th, td { border-color: #333b45; }
  code { background: #232a32; } p.note { color: #98a4b3; }
}
"""


class HtmlReport:
    """Collects text, tables and figures in order, then writes them.

    Args:
        title: Heading of the page.
        lead: One paragraph below it.
    """

    def __init__(self, title: str, lead: str) -> None:
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(lead)}</p>"]

    def heading(self, text: str) -> None:
        """Start a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def note(self, text: str) -> None:
        """Add a paragraph of small print, such as the command behind a number."""
        self._parts.append(f'<p class="note">{html.escape(text)}</p>')

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; the last row is set off as the summary."""

        def line(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(line(row, "td") for row in rows)
        self._parts.append(f"<table>{line(columns, 'th')}{body}</table>")

    def figure(self, figure: Figure, description: str) -> None:
        """Add a figure of matplotlib; the description is read where pictures are not seen."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        data = base64.b64encode(buffer.getvalue()).decode()
        self._parts.append(f'<img alt="{html.escape(description)}" src="data:image/png;base64,{data}">')

    def save(self, path: str | Path) -> None:
        """Write the page, all at once."""
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>"
            f"<body>{''.join(self._parts)}</body></html>"
        )
        write_whole(path, page.encode())
