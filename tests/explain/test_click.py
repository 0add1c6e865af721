"""What a page holds of the codes, and that nothing but our script can run in it."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
import torch

from page_reader import Page
from subquad.explain import HtmlReport
from subquad.explain.click import MOST_NUMBERS, SCRIPT, clickable, packed, script, unit_codes
from subquad.explain.codes import Codes
from subquad.explain.report import Script
from subquad.ops import Factors

NASTY = '</script><script>alert("x")</script> & \'\u2028'


def codes(heads=2, rank=4, grid=(6, 9), covered=None, signed=False):
    found = torch.rand(heads, rank, grid[0] * grid[1]) - (0.5 if signed else 0)
    factors = Factors(torch.rand(heads, 5, rank), found)
    return Codes(factors, grid, (grid[0] * 8, grid[1] * 8), covered or grid)


def unpacked(data):
    """Return what the script reads: codes (positions, columns), scales and products."""
    rank = len(data["columns"])

    def numbers(name, kind):
        return np.frombuffer(base64.b64decode(data[name]), kind)

    levels = numbers("codes", np.int8).reshape(-1, rank).astype(float)
    return levels, numbers("scales", "<f4"), numbers("products", "<f4").reshape(rank, rank).astype(float)


@pytest.mark.parametrize("signed", [False, True])
def test_bytes_tell_the_context_and_the_shares(signed):
    found = codes(signed=signed)
    levels, scales, products = unpacked(packed(found))
    lengths = np.sqrt(np.einsum("qr,rs,qs->q", levels, products, levels))
    for position in (0, 31, 53):
        cosines = levels @ products @ levels[position] / (lengths * lengths[position])
        assert np.abs(cosines - found.context(position).flatten().numpy()).max() < 0.02
        own = np.abs(levels[position])
        assert np.abs(own / own.sum() - found.shares(position).numpy()).max() < 0.01
    for column in range(8):
        used = np.abs(levels[:, column]) * scales / 127
        assert np.abs(used - found.column(column).flatten().numpy()).max() < 0.01


def test_products_are_those_of_columns_of_length_one():
    found = codes()
    values, products = unit_codes(found)
    assert torch.allclose(products.diagonal(), torch.ones(8, dtype=torch.float64))
    assert products[:4, 4:].eq(0).all(), "heads share no channel"
    units = found.factors.dictionary / found.factors.dictionary.norm(dim=1, keepdim=True)
    assert torch.allclose((units @ values.unflatten(0, (2, 4))), found.factors.reconstruct(), atol=1e-6)


def test_what_a_page_holds_is_limited():
    found = codes(heads=1, rank=64, grid=(150, 90))
    data = packed(found)
    assert data["grid"] == [64, 64] and len(base64.b64decode(data["codes"])) == 64 * 64 * 64
    many = packed(codes(heads=1, rank=600, grid=(70, 70)))
    assert len(many["columns"]) == 512 and many["columns"] == sorted(many["columns"])
    assert len(base64.b64decode(many["codes"])) <= MOST_NUMBERS
    # The rows that are kept are spread evenly, and a pixel finds the one beside it.
    levels, scales, _ = unpacked(data)
    values = unit_codes(found)[0].unflatten(1, (150, 90))[:, int(10.5 * 150 / 64), int(20.5 * 90 / 64)]
    kept = levels[10 * 64 + 20] * scales[10 * 64 + 20] / 127
    assert np.abs(kept - values.numpy()).max() < 0.01


def test_where_a_picture_ends_amid_a_position():
    assert packed(codes(grid=(4, 5), covered=(3.5, 5)))["covered"] == [0.875, 1]


def test_codes_of_nothing_are_no_division_by_zero():
    found = Codes(Factors(torch.zeros(1, 3, 2), torch.zeros(1, 2, 4)), (2, 2), (8, 8), (2, 2))
    levels, scales, products = unpacked(packed(found))
    assert not levels.any() and not scales.any() and not products.any()


@pytest.fixture
def page(tmp_path):
    report = HtmlReport("t", "l", script(codes(), (3, 4)))
    clickable(report, "data:image/png;base64,AA==", f"picture {NASTY}")
    report.save(tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def test_one_script_may_run_and_it_is_ours(page):
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 2 and scripts[1] == SCRIPT
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    digest = base64.b64encode(hashlib.sha256(scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
    assert policy.count("script-src") == 1 and "unsafe-inline" not in policy.partition("script-src")[2]
    assert "unsafe-eval" not in policy and "http" not in policy
    assert not re.search(r"\son\w+=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    assert json.loads(scripts[0])["at"] == [3, 4]
    assert page.index("<script") > page.index('id="told"')


def test_text_of_files_is_no_markup(page, tmp_path):
    assert Page(tmp_path / "page.html").tags.count("script") == 2
    assert "<script>alert" not in page and "&lt;script&gt;alert(&quot;x&quot;)" in page
    told = Script("1", {"name": NASTY}).html()
    assert told.count("<") == 4 and told.count("</script>") == 2 and "\u2028" not in told
    assert json.loads(re.search(r'id="data">(.*?)</script>', told)[1]) == {"name": NASTY}


def test_other_pages_run_nothing(tmp_path):
    HtmlReport("t", "l").save(tmp_path / "plain.html")
    text = (tmp_path / "plain.html").read_text()
    assert "script" not in text
