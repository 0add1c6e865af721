"""`subquad bench scaling`: sizes, the budget of rivals, and from where on ours is faster."""

import json

import pytest
import torch

from subquad.bench import Curve, MapPoint, ScalingBench, Timing, bench_scaling, environment, mixing_curve
from subquad.bench.curve import first_faster
from subquad.bench.result import Curves
from subquad.bench.scaling import LAYERS, OURS, RIVAL
from subquad.cli.main import main


def timing(ms):
    return Timing(ms, ms, ms)


def test_rivals_stop_at_the_budget_and_ours_goes_on():
    result = bench_scaling(
        smallest=3, largest=5, dim=4, shortest=2, longest=3, sequence_dim=4, repeats=1, budget=1e-9
    )
    assert [(point.height, point.width) for point in result.maps] == [(2, 4), (4, 4), (4, 8)]
    assert [sorted(point.times) for point in result.maps] == [sorted(LAYERS), [OURS], [OURS]]
    assert [point.length for point in result.sequences.points] == [4, 8]


def test_the_crossover_is_told_and_drawn():
    place = torch.device("cpu")
    sequences = mixing_curve(smallest=1, largest=1, dim=2, repeats=1)
    maps = tuple(
        MapPoint(1, positions, {OURS: timing(3), RIVAL: timing(rival), "3 x 3 convolution": timing(2)})
        for positions, rival in ((64, 1), (128, 4), (256, 16))
    )
    result = ScalingBench(environment(place), 4, 1, maps, sequences)
    assert (result.faster_from(RIVAL), result.faster_from("3 x 3 convolution")) == (128, None)
    titles = [table.title for table in result.tables()]
    assert "Hamburger is faster than attention from 128 positions on" in titles
    assert "Hamburger is not faster than 3 x 3 convolution at the largest size" in titles
    chart = result.charts()[0]
    assert isinstance(chart, Curves) and chart.marks == {128: "faster than attention from 128"}
    assert first_faster([]) is None and isinstance(sequences, Curve)


def test_the_command_prints_rows_and_writes(tmp_path, capsys):
    file, picture = tmp_path / "scaling.json", tmp_path / "scaling.png"
    small = ["--smallest=2", "--largest=3", "--dim=4", "--shortest=2", "--longest=3", "--sequence-dim=4"]
    assert main(["bench", "scaling", *small, "--repeats=1", f"--json={file}", f"--plot={picture}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("measuring scaling ...\n") and "faster than attention" in out
    written = json.loads(file.read_text())
    assert [point["width"] for point in written["maps"]] == [2, 4]
    assert [point["length"] for point in written["sequences"]["points"]] == [4, 8]
    assert picture.is_file()


@pytest.mark.parametrize(
    ("option", "quoted"),
    [
        ("--largest=1", "smallest must be 0 to largest, got 6 and 1"),
        ("--longest=3", "shortest must be 0 to longest, got 10 and 3"),
        ("--longest=99", "--longest"),
    ],
)
def test_sizes_that_make_no_sense_are_one_sentence(option, quoted, capsys):
    assert main(["bench", "scaling", option]) == 2
    assert quoted in capsys.readouterr().err
