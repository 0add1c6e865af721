"""Sections of a page: what they are given is in them, escaped, and nothing is loaded."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from page_reader import LOADS, Page
from subquad.explain.images import data_uri, enlarged, heat_picture
from subquad.explain.matrix import MOST_CELLS, add_matrix, confusions
from subquad.explain.report import Cell, HtmlReport, Picture, Section, refuse_foreign_page

NASTY = "</td></pre><script>alert(\"x\")</script> & 'more'"


def page_of(section, tmp_path):
    report = HtmlReport("title", "lead")
    report.tiles([(f"12 {NASTY}", f"tile {NASTY}")])
    report.add(section)
    report.save(tmp_path / "page.html")
    return Page(tmp_path / "page.html")


def test_every_part_is_escaped_and_there(tmp_path):
    section = Section(f"section {NASTY}")
    section.heading(f"heading {NASTY}")
    section.table([f"column {NASTY}"], [[Cell(f"cell {NASTY}", 0.5, "heat", (1, 2, 3))]], kind="matrix")
    section.row([Picture(data_uri(np.zeros((2, 2, 3), np.uint8)), f"picture {NASTY}")])
    section.charts([(f"chart {NASTY}", "<svg></svg>")])
    section.key([(f"key {NASTY}", "red")])
    section.command(f"what {NASTY}", f"command {NASTY}")
    page = page_of(section, tmp_path)
    assert not LOADS & set(page.tags)
    names = (
        "12",
        "tile",
        "section",
        "heading",
        "column",
        "cell",
        "picture",
        "chart",
        "key",
        "what",
        "command",
    )
    for name in names:
        assert f"{name} {NASTY}" in page.words, name
    assert page.descriptions == [f"picture {NASTY}"]
    assert [load[:5] for load in page.loads] == ["#part", "data:"], "a place in the page, and a picture in it"


def test_a_page_may_load_nothing_but_what_is_in_it(tmp_path):
    page_of(Section("one"), tmp_path)
    assert "default-src 'none'; img-src data:" in (tmp_path / "page.html").read_text()


def test_half_a_character_is_no_reason_to_fail(tmp_path):
    section = Section("one")
    section.text("broken\udcff.png")
    assert "broken?.png" in page_of(section, tmp_path).words


def test_only_pages_of_ours_are_replaced(tmp_path):
    path = tmp_path / "report.html"
    refuse_foreign_page(path, "move it")
    HtmlReport("title", "lead").save(path)
    refuse_foreign_page(path, "move it")
    path.write_text("<html>my notes</html>")
    with pytest.raises(ValueError, match=r"no report of subquad; move it\.$"):
        refuse_foreign_page(path, "move it")
    with pytest.raises(ValueError, match="no report of subquad"):
        refuse_foreign_page(tmp_path, "move it")


def test_a_matrix_has_the_share_of_each_row(tmp_path):
    section = Section("matrix")
    add_matrix(section, np.array([[3, 1, 0], [0, 8, 0], [0, 0, 0]]), ["a", "b", "c"], "pixels")
    markup = section.html()
    assert (
        'style="--share:75.0%">75</td>' in markup
        and 'class="heat full" style="--share:100.0%">100<' in markup
    )
    assert markup.count("n/a") == 3, "a class that does not occur"
    assert "a is taken for b" in page_of(section, tmp_path).words and "25.0 %" in markup


def test_many_classes_are_a_picture(tmp_path):
    many = MOST_CELLS + 1
    section = Section("matrix")
    add_matrix(section, np.eye(many, dtype=int), list(map(str, range(many))), "pixels")
    page = page_of(section, tmp_path)
    assert page.tags.count("img") == 1 and "td" not in page.tags


def test_confusions_are_in_order_of_their_share():
    matrix = np.array([[50, 30, 20], [1, 999, 0], [0, 90, 10]])
    found = confusions(matrix, ["a", "b", "c"], "pixels")
    assert [row[0] for row in found] == ["c is taken for b", "a is taken for b", "a is taken for c"]
    assert found[0][1:] == ("90.0 %", "90")


def opened(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_pictures_are_shrunk_and_masks_keep_their_colours():
    picture = np.zeros((400, 800, 3), np.uint8)
    picture[:, 400:] = (255, 10, 20)
    assert data_uri(picture).startswith("data:image/jpeg;base64,") and opened(data_uri(picture)).shape == (
        160,
        320,
        3,
    )
    mask = opened(data_uri(picture, "png"))
    assert mask.shape == (160, 320, 3) and len(np.unique(mask.reshape(-1, 3), axis=0)) == 2
    assert opened(data_uri(picture[:1, :3], "png")).shape == (1, 3, 3), "small ones are not enlarged"


def test_a_map_is_painted_from_dark_to_bright():
    painted = heat_picture(np.array([[0.0, 0.5, 1.0, 2.0]]), 0, 1)
    light = painted.astype(int).sum(axis=-1)[0]
    assert painted.shape == (1, 4, 3) and light[0] < light[1] < light[2] == light[3]
    assert heat_picture(np.ones((2, 2)), 1, 1).shape == (2, 2, 3), "a constant map"
    assert enlarged(painted, 16).shape == (4, 16, 3) and enlarged(painted, 3).shape == (1, 4, 3)
