"""A report in one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.base.files import read_file, write_whole
from subquad.explain.style import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARK = '<meta name="generator" content="subquad">'
LARGEST_PAGE = 2**28
# Even if some text of a file were taken for markup, a browser would load and run nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Cell:
    """A cell of a table that shows more than its text.

    Attributes:
        text: In it.
        share: 0 to 1; how dark it is, or how long its bar is.
        kind: "heat", "bar", "good" or "bad"; "" for none of them.
        color: Of a small square before the text, (red, green, blue).
    """

    text: str
    share: float = 0.0
    kind: str = ""
    color: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Picture:
    """A picture with a caption.

    Attributes:
        source: A data URI, as `subquad.explain.images` makes them.
        caption: Below it.
    """

    source: str
    caption: str


@dataclass(frozen=True)
class Script:
    """What makes a page answer a click, without a network or another file.

    Attributes:
        code: Of ours; the page lets nothing run but exactly this.
        data: What it reads, as JSON in the element `data`: no text in it can become markup.
    """

    code: str
    data: Mapping[str, Any]

    @property
    def policy(self) -> str:
        """What the page's policy says of scripts: the digest of the only one."""
        digest = base64.b64encode(hashlib.sha256(self.code.encode()).digest()).decode()
        return f"script-src 'sha256-{digest}'"

    def html(self) -> str:
        """Return the two elements at the end of a page."""
        text = json.dumps(self.data, separators=(",", ":"), allow_nan=False)
        for letter in "<>&":  # outside of strings JSON has none of them
            text = text.replace(letter, f"\\u{ord(letter):04x}")
        return f'<script type="application/json" id="data">{text}</script><script>{self.code}</script>'


class Section:
    """Text, tables and pictures in order, below a title.

    Args:
        title: Of the section.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._parts.append(f"<h3>{html.escape(text)}</h3>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def note(self, text: str) -> None:
        """Add a paragraph of small print, such as the command behind a number."""
        self._parts.append(f'<p class="note">{html.escape(text)}</p>')

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, kind: str = "summary"
    ) -> None:
        """Add a table.

        Args:
            columns: Their names.
            rows: As many cells each.
            kind: "summary" sets the last row off, "words" is of text, "matrix" narrow with columns turned,
                "plain" none of them.
        """
        names = "".join(
            f"<th>{_turned(name) if kind == 'matrix' and place else html.escape(name)}</th>"
            for place, name in enumerate(columns)
        )
        body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
        self._parts.append(f'<div class="wide"><table class="{kind}"><tr>{names}</tr>{body}</table></div>')

    def figure(self, figure: Figure, description: str) -> None:
        """Add a figure of matplotlib; the description is read where pictures are not seen."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        data = base64.b64encode(buffer.getvalue()).decode()
        self._parts.append(
            f'<img class="figure" alt="{html.escape(description)}" src="data:image/png;base64,{data}">'
        )

    def row(self, pictures: Iterable[Picture], *, broad: bool = False) -> None:
        """Add pictures side by side, of broad ones few; below each other where there is no room."""
        figures = (
            f'<figure><img alt="{html.escape(p.caption)}" src="{html.escape(p.source)}">'
            f"<figcaption>{html.escape(p.caption)}</figcaption></figure>"
            for p in pictures
        )
        kind = "row broad" if broad else "row"
        self._parts.append(f'<div class="{kind}">{"".join(figures)}</div>')

    def charts(self, charts: Iterable[tuple[str, str]]) -> None:
        """Add drawings of `subquad.explain.charts`, each with its title."""
        figures = (
            f"<figure><figcaption>{html.escape(title)}</figcaption>{drawing}</figure>"
            for title, drawing in charts
        )
        self._parts.append(f'<div class="charts">{"".join(figures)}</div>')

    def key(self, names: Iterable[tuple[str, str]]) -> None:
        """Say what colours stand for: names, each with a colour of CSS."""
        spans = (f"<span>{_swatch(color)}{html.escape(name)}</span>" for name, color in names)
        self._parts.append(f'<p class="key">{"".join(spans)}</p>')

    def shaded(self, pieces: Iterable[tuple[str, float, str]]) -> None:
        """Add a text whose pieces are shaded: each with 0 to 1, how dark, and what is told at the pointer."""
        spans = (
            f'<span class="heat" style="--share:{100 * share:.0f}%" title="{html.escape(told)}">'
            f"{html.escape(text)}</span>"
            for text, share, told in pieces
        )
        self._parts.append(f'<div class="shaded">{"".join(spans)}</div>')

    def markup(self, markup: str) -> None:
        """Add markup as it is: of ours alone, in which whatever comes from a file is escaped already."""
        self._parts.append(markup)

    def command(self, what: str, command: str) -> None:
        """Add a command to paste, and what it does."""
        self._parts.append(f"<div>{html.escape(what)}</div><pre>{html.escape(command)}</pre>")

    def html(self) -> str:
        """Return what was added."""
        return "".join(self._parts)


class HtmlReport(Section):
    """Collects text, tables, figures and sections in order, then writes them.

    Args:
        title: Heading of the page.
        lead: One paragraph below it.
        script: That runs in the page; None, as of most pages: none does.
    """

    def __init__(self, title: str, lead: str, script: Script | None = None) -> None:
        super().__init__(title)
        self.script = script
        self._head = f"<h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>"
        self._titles: list[str] = []

    def heading(self, text: str) -> None:
        """Start a part of the page."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def tiles(self, tiles: Iterable[tuple[str, str]]) -> None:
        """Add the numbers that matter most, each with what it is; the first one most."""
        boxes = (f"<div><b>{html.escape(x)}</b><span>{html.escape(what)}</span></div>" for x, what in tiles)
        self._parts.append(f'<div class="tiles">{"".join(boxes)}</div>')

    def add(self, section: Section) -> None:
        """Add a section."""
        self._titles.append(section.title)
        title, place = html.escape(section.title), f"part{len(self._titles)}"
        self._parts.append(f'<section id="{place}"><h2>{title}</h2>{section.html()}</section>')

    def save(self, path: str | Path) -> None:
        """Write the page, all at once."""
        links = (f'<a href="#part{n}">{html.escape(title)}</a>' for n, title in enumerate(self._titles, 1))
        nav = f"<nav>{''.join(links)}</nav>" if self._titles else ""
        policy, script = _POLICY, ""
        if self.script is not None:
            policy, script = f"{_POLICY}; {self.script.policy}", self.script.html()
        page = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">{MARK}'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{STYLE}</style></head>"
            f"<body>{self._head}{nav}{self.html()}{script}</body></html>"
        )
        write_whole(path, page.encode(errors="replace"))  # names of files may hold half a character


def refuse_foreign_page(path: str | Path, remedy: str, mark: bytes = MARK.encode()) -> None:
    """Raise ValueError if something else than a report of ours would be replaced.

    Args:
        path: Of the page.
        remedy: What to do, at the end of the sentence.
        mark: Among the first bytes of what is ours.
    """
    path = Path(path)
    if not path.exists():
        return
    if path.is_dir() or mark not in read_file(path, LARGEST_PAGE)[:1000]:
        raise ValueError(f"{path} is there already and is no report of subquad; {remedy}.")


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{html.escape(cell)}</td>"
    full = " full" if cell.kind == "heat" and cell.share > 0.55 else ""
    shown = f' class="{cell.kind}{full}"' if cell.kind else ""
    if cell.kind in ("heat", "bar"):
        shown += f' style="--share:{100 * cell.share:.1f}%"'
    swatch = "" if cell.color is None else _swatch("rgb({},{},{})".format(*cell.color))
    return f"<td{shown}>{swatch}{html.escape(cell.text)}</td>"


def _swatch(color: str) -> str:
    return f'<span class="swatch" style="background:{html.escape(color)}"></span>'


def _turned(name: str) -> str:
    return f'<span class="turned">{html.escape(name)}</span>'
