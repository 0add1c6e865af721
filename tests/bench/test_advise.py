"""`subquad advise` measures every mixer, predicts what would take too long, and recommends one."""

import json
from collections import Counter
from math import prod

import pytest
import torch

from subquad.bench import advise, advise_maps
from subquad.bench import trial as trials
from subquad.bench.mixers import ATTENTION, mixers_of_maps, mixers_of_sequences
from subquad.bench.trial import Run, Trial, fewer_positions, predicted
from subquad.cli.main import main

CPU = torch.device("cpu")
MAPS, SEQUENCES = mixers_of_maps(16, bfloat16=True), mixers_of_sequences(16, 40, bfloat16=True)


@pytest.mark.parametrize("mixer", MAPS + SEQUENCES, ids=lambda mixer: mixer.name)
def test_a_mixer_keeps_the_shape_and_hears_of_what_it_says(mixer):
    """What the last position holds is heard of at the first, or not."""
    spatial = (8, 9) if mixer in MAPS else (40,)
    shape = (1, *spatial, 16) if mixer.channels_last else (1, 16, *spatial)
    first, last = (
        (0, at) if mixer.channels_last else (0, slice(None), *[at] * len(spatial)) for at in (0, -1)
    )
    torch.manual_seed(0)
    block, x = mixer.build(prod(spatial)).double().eval(), torch.randn(shape, dtype=torch.float64)
    y = block(x)
    assert y.shape == x.shape
    x[last] += 1
    assert torch.equal(block(x)[first], y[first]) != mixer.is_global


def test_what_is_to_be_written_is_what_was_measured():
    import subquad.nn
    import subquad.ops

    for mixer in MAPS + SEQUENCES:
        written = eval(mixer.write, {"subquad": subquad, "torch": torch})
        assert repr(written) == repr(mixer.build(40)), mixer.name


@pytest.mark.parametrize("channels", [512, 1024, 100])
def test_what_is_to_be_written_takes_the_input(channels):
    import subquad.nn
    import subquad.ops

    for mixers, spatial in ((mixers_of_maps(channels), (4, 5)), (mixers_of_sequences(channels, 40), (40,))):
        for mixer in mixers:
            shape = (1, *spatial, channels) if mixer.channels_last else (1, channels, *spatial)
            with torch.device("meta"):
                block = eval(mixer.write, {"subquad": subquad, "torch": torch}).eval()
                assert block(torch.empty(shape)).shape == shape, mixer.name


def test_fewer_positions_are_fourths():
    assert fewer_positions((128, 64)) == [(16, 8), (32, 16), (64, 32)][1:]
    assert fewer_positions((4096,)) == [(256,), (1024,)]
    assert fewer_positions((16, 16)) == []
    assert fewer_positions((16, 16), batch=64) == [(4, 4), (8, 8)]


def test_a_prediction_knows_what_grows():
    attention, ham, *_ = MAPS
    assert attention.work(320) == 320 * 11 and ham.work(320) == 320

    def run(mixer, positions):
        return Run(positions, 1 + 1e-3 * mixer.work(positions), 10 * positions)

    for mixer in (attention, ham):
        found = predicted(mixer, [run(mixer, 256), run(mixer, 1024)], 16384)
        assert found.seconds == pytest.approx(run(mixer, 16384).seconds) and found.memory == 163840
    square = predicted(attention, [Run(256, 1, 256**2), Run(1024, 16, 1024**2)], 4096)
    assert square.memory == pytest.approx(4096**2)
    assert predicted(ham, [], 5) == Run(5, 0.0, 0)


def test_a_pass_that_was_disturbed_does_not_make_more_of_them_free():
    ham = MAPS[1]
    assert predicted(ham, [Run(256, 9.0, 1), Run(1024, 4.0, 4)], 4096).seconds == pytest.approx(4 + 3)


def test_small_maps_that_take_long_are_not_run_twenty_times(monkeypatch):
    """Where no fewer positions are worth a run, one pass of all of them tells how many there may be."""
    passes = []

    def counted(self, mixer, spatial):
        return lambda: passes.append(mixer.name)

    monkeypatch.setattr(Trial, "_way", counted)
    monkeypatch.setattr(trials, "seconds_of", lambda way, device: [way(), 1.0][1])
    rows, _ = Trial(1, 16, (16, 16), False, 2.0, CPU, 2**30).measure(MAPS, None)
    assert all(row.time is None and row.ms == 1000 and not row.fewer for row in rows)
    assert all("--seconds 36 leaves time" in row.skipped for row in rows)
    assert set(Counter(passes).values()) == {2}  # for the time, and for the memory


def test_what_would_take_too_long_or_too_much_is_predicted(monkeypatch):
    """A pass of attention takes a second, its share are two: more positions are not tried."""
    monkeypatch.setattr("subquad.ops.precision.why_not_bfloat16", lambda kind: "")
    real, tried = Trial._way, []

    def clocked(self, mixer, spatial):
        tried.append((mixer.name, prod(spatial)))
        way = real(self, mixer, spatial)

        def run():
            return way()

        run.seconds = 1.0 if mixer.name == ATTENTION else 1e-6
        return run

    monkeypatch.setattr(Trial, "_way", clocked)
    monkeypatch.setattr(trials, "seconds_of", lambda way, device: way.seconds)
    rows, _ = Trial(1, 16, (64, 64), False, 20.0, CPU, 2**30).measure(MAPS, None)
    attention, *others = rows
    assert attention.time is None and attention.ms == pytest.approx(1e3 * 4096 * 129 / (256 * 9))
    assert [positions for name, positions in tried if name == ATTENTION] == [256]
    assert attention.fewer == pytest.approx(1e3 * 1024 * 33 / (256 * 9)) and "--seconds" in attention.skipped
    assert all(row.time is not None and not row.skipped for row in others)
    rows, _ = Trial(1, 16, (32, 32), False, 1e6, CPU, 150_000).measure(MAPS, None)
    assert rows[0].skipped.startswith("it would hold about")


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        (["--shape=1,8,4,6"], [1, 8, 4, 6]),
        (["--shape", "2,8,20,20", "--training"], [2, 8, 20, 20]),
        (["--length=40", "--dim=8", "--batch=2"], [2, 40, 8]),
        (["--length=1100", "--dim=4", "--training"], [1, 1100, 4]),
    ],
)
def test_the_command_prints_every_row_and_writes(arguments, shape, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(advise, "why_not_bfloat16", lambda kind: "slow")
    file = tmp_path / "advice.json"
    assert main(["advise", *arguments, "--seconds=0.5", f"--json={file}"]) == 0
    told = capsys.readouterr()
    assert f"wrote {file}\n" in told.err
    out = " ".join(told.out.split())
    written = json.loads(file.read_text())
    assert written["shape"] == shape and written["training"] == ("--training" in arguments)
    assert len(written["rows"]) == 5
    assert f"Take {written['choice']}: " in out and all(
        " ".join(s.split()) in out for s in written["sentences"]
    )
    assert written["choice"] in [row["name"] for row in written["rows"] if row["is_global"]]
    assert all(row["ms"] > 0 and row["memory"] > 0 and row["parameters"] > 0 for row in written["rows"])


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        ([], "--length N of a sequence, got neither"),
        (["--shape=1,2,3,4", "--length=4"], "got --shape 1,2,3,4 and --length 4"),
        (["--shape=1,2,3"], "four whole numbers such as 1,512,128,128, each at least 1, got '1,2,3'"),
        (["--shape=a,b"], "got 'a,b'"),
        (["--shape=1,-2,3,4"], "got '1,-2,3,4'"),
        (["--shape=1,8,0,4"], "got '1,8,0,4'"),
        (["--shape=1,8,\u00b2,4"], "got '1,8,\u00b2,4'"),
        (["--shape=1,8,1,1"], "one position has no other"),
        (["--shape=1,8,4,4", "--dim=3"], "--dim and --batch are of a sequence"),
        (["--shape=64,4096,99999,99999"], "GiB needs 4 times as much at least"),
        ([f"--shape=1,1,{10**30},1"], "GiB needs 4 times as much at least"),
        (["--length=0"], "length must be at least 1, got 0"),
        (["--length=8", "--dim=-1"], "dim must be at least 1, got -1"),
        (["--length=8", "--seconds=0"], "seconds must be above 0, got 0"),
        (["--length=8", "--seconds=nan"], "expected float, got 'nan'"),
        (["--length=60000000", "--batch=9000"], "GiB needs 4 times as much at least"),
        (["--length=8", "--device=warp"], "--device warp cannot be used"),
        (["--lenght=8"], "--lenght"),
    ],
)
def test_wrong_options_are_one_sentence(arguments, quoted, capsys):
    assert main(["advise", *arguments]) == 2
    told = capsys.readouterr().err
    assert quoted in told and told.count("\n") == 1


def test_bfloat16_takes_part_where_it_is_quick():
    names = [{mixer.name for mixer in mixers_of_maps(16, bfloat16=quick)} for quick in (False, True)]
    assert names[1] - names[0] == {"Hamburger, NMF, bfloat16"}
    assert "Hamburger, NMF, bfloat16" in {mixer.name for mixer in SEQUENCES}


def test_a_shape_must_be_one_of_maps():
    with pytest.raises(ValueError, match="four numbers from 1, got 1, 2, 3"):
        advise_maps((1, 2, 3))
