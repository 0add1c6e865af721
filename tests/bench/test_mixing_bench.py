"""`subquad bench mixing` measures the same thing in every way, and says on what."""

import json

import pytest
import torch

from subquad.bench import Point, Timing, bench_mixing, long_forward, mixing_curve
from subquad.bench.curve import Curve
from subquad.bench.mixing import bytes_kept, gather_scatter
from subquad.cli.main import main
from subquad.ops import link_mix

CPU = torch.device("cpu")


def test_the_ways_agree_and_ours_keeps_less():
    result = bench_mixing(batch=2, length=50, dim=16, links=5, repeats=2, compile=False)
    original, ours = result.rows
    assert max(original.error, ours.error) < 1e-6
    values, links, products = 2 * 50 * 16 * 4, 2 * 50 * 5 * 4, 2 * 250 * 16 * 4
    assert ours.kept == values + links
    assert original.kept == products + links + 2 * 250 * 8  # and two indices
    assert result.times_faster(original) == (1.0, 1.0)
    for row in result.rows:
        for timing in (row.forward, row.both):
            assert 0 < timing.p20 <= timing.p50 <= timing.p80


def test_bytes_that_are_shared_count_once():
    values = torch.randn(1, 4, 2, requires_grad=True)
    links = torch.randn(1, 4, 1, requires_grad=True)
    assert bytes_kept(lambda v, w: v * v * w, values, links) == 32 + 32 + 16  # v, v * v, w


def test_the_originals_way_adds_up_duplicates():
    values, links = torch.randn(2, 6, 3), torch.randn(2, 6, 4)
    offsets = (0, 6, 2, -4)
    actual = gather_scatter(6, offsets, CPU)(values, links)
    torch.testing.assert_close(actual, link_mix(values, links, offsets))


def test_attention_stops_at_the_budget():
    result = mixing_curve(smallest=3, largest=5, dim=4, repeats=1)
    assert [point.length for point in result.points] == [8, 16, 32]
    assert all(point.attention is not None for point in result.points)
    stopped = mixing_curve(smallest=3, largest=5, dim=4, repeats=1, budget=1e-9)
    assert [point.attention is not None for point in stopped.points] == [True, False, False]


@pytest.mark.parametrize(
    ("ours", "attention", "crossover"),
    [
        ((1, 1, 1), (2, 2, 2), 1),
        ((3, 1, 1), (2, 2, None), 2),
        ((3, 1, 3), (2, 2, 2), None),
        ((3, 3, 3), (2, None, None), None),
    ],
)
def test_the_crossover_is_where_ours_stays_faster(ours, attention, crossover):
    points = [
        Point(n + 1, Timing(a, a, a), b and Timing(b, b, b))
        for n, (a, b) in enumerate(zip(ours, attention, strict=True))
    ]
    environment = bench_mixing(batch=1, length=2, dim=1, links=2, repeats=1, compile=False).environment
    assert Curve(environment, 4, "chord", 1, tuple(points)).crossover == crossover


def test_a_long_pass_is_measured_in_its_own_process():
    result = long_forward(3000, dim=4)
    assert result.tokens == 3000 and result.seconds > 0 and result.peak > 2**26


def test_the_command_prints_and_writes(tmp_path, capsys):
    file = tmp_path / "mixing.json"
    small = ["--batch=1", "--length=20", "--dim=4", "--links=3", "--repeats=1", "--compile=false"]
    assert main(["bench", "mixing", *small, f"--json={file}"]) == 0
    assert "1 rounds" in capsys.readouterr().out
    written = json.loads(file.read_text())
    assert written["length"] == 20 and len(written["rows"]) == 2
    assert written["command"].startswith("subquad bench mixing --batch=1")
    told = "device threads python torch subquad commit load load_after seconds quiet reason"
    assert set(told.split()) == written["environment"].keys()
    curve = ["--curve", "--smallest=2", "--largest=3", "--dim=4", "--repeats=1"]
    assert main(["bench", "mixing", *curve, f"--json={file}"]) == 0
    assert "attention" in capsys.readouterr().out
    assert [point["length"] for point in json.loads(file.read_text())["points"]] == [4, 8]


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["mixin"], "'mixin'. Did you mean 'mixing'?"),
        ([""], "`subquad bench` knows `mixing`, `solvers`, `modules`, `models`, `scaling`, got ''"),
        (["mixing", "--links=1"], "links must be 2 to 64, got 1"),
        (["mixing", "--links=65", "--length=64"], "links must be 2 to 64, got 65"),
        (["mixing", "--device=warp"], "--device warp cannot be used"),
        (["mixing", "--curve", "--smallest=5", "--largest=4"], "got 5 and 4"),
        (["mixing", "--curve", "--protocol=dil"], "got 'dil'"),
        (["mixing", "--tokens=-1"], "tokens must be at least 1, got -1"),
        (["mixing", "--lenght=5"], "--lenght"),
    ],
)
def test_wrong_options_are_one_sentence(arguments, quoted, capsys):
    assert main(["bench", *arguments]) == 2
    assert quoted in capsys.readouterr().err


def test_the_most_links_are_mixed():
    result = bench_mixing(batch=1, length=5, dim=2, links=64, repeats=1, compile=False)
    assert max(row.error for row in result.rows) < 1e-5


def test_without_a_name_there_is_the_list(capsys):
    assert main(["bench"]) == 0
    told = capsys.readouterr().out
    assert "usage: subquad bench WHAT" in told and "  scaling " in told
