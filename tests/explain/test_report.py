"""A report is one file that loads nothing and says what it was told."""

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from page_reader import LOADS, Page
from subquad.explain import HtmlReport

NASTY = "<script>alert(\"x\")</script> & 'more'"


def figure_of(color):
    figure = Figure(figsize=(1, 1), facecolor=color)
    return figure


@pytest.fixture
def page(tmp_path):
    report = HtmlReport(f"title {NASTY}", f"lead {NASTY}")
    report.heading(f"heading {NASTY}")
    report.text(f"text {NASTY}")
    report.note(f"note {NASTY}")
    report.table((f"column {NASTY}", "b"), [(f"cell {NASTY}", "1"), ("last", "2")])
    report.figure(figure_of("red"), f"red {NASTY}")
    report.figure(figure_of("blue"), "blue")
    report.save(tmp_path / "new" / "folder" / "report.html")
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == ["report.html"], "one file, no more"
    return Page(tmp_path / "new" / "folder" / "report.html")


def test_text_is_escaped_and_whole(page):
    assert not LOADS & set(page.tags)
    for kind in ("title", "lead", "heading", "text", "note", "column", "cell"):
        assert f"{kind} {NASTY}" in page.words
    assert page.descriptions == [f"red {NASTY}", "blue"]


def test_figures_are_in_the_page_and_nothing_else_is_loaded(page):
    assert len(page.loads) == page.tags.count("img") == 2
    colors = []
    for source in page.loads:
        kind, data = source.split(",")
        assert kind == "data:image/png;base64"
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        colors.append(tuple(picture[picture.shape[0] // 2, picture.shape[1] // 2].tolist()))
    assert colors == [(255, 0, 0), (0, 0, 255)]


def test_style_loads_nothing(page):
    (style,) = (text for text in page.words if "font-variant-numeric" in text)
    assert "url(" not in style and "@import" not in style


def test_parts_keep_their_order(page):
    texts = [text.split(" ")[0] for text in page.words if NASTY in text]
    assert texts == ["title", "title", "lead", "heading", "text", "note", "column", "cell"]
    assert page.tags.count("tr") == 3 and page.tags.count("th") == 2 and page.tags.count("td") == 4


def test_saving_again_replaces(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("earlier")
    HtmlReport("one", "lead").save(path)
    HtmlReport("two", "Größe").save(str(path))
    assert "two" in Page(path).words and "Größe" in Page(path).words
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
